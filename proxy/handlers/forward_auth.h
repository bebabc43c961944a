// SPDX-License-Identifier: Apache-2.0
// A request's admission by a service of the operator's: a GET about it over the service's upstream, before anything of
// its body is read. 2xx: it goes on, with fields of the answer; 401, 403 and redirects are the client's answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/time.h"
#include "config/model.h"

namespace headgate::proxy {

class Request;

/// Immutable; shared by all workers.
struct ForwardAuthRule {
  /// Throws std::invalid_argument for an upstream that there is not.
  ForwardAuthRule(const config::Config& whole, const config::ForwardAuth& settings);

  std::uint32_t upstream;  ///< index in config.upstreams
  std::string target;
  std::string authority;  ///< Host of the question; empty: the server's name
  Duration timeout;
  std::vector<std::string> copy_headers;
  std::optional<std::vector<std::string>> request_headers;
};

/// True: it goes on. False: it has been answered.
Task<Result<bool>> ask_service(Request& request, const ForwardAuthRule& rule);

}  // namespace headgate::proxy
