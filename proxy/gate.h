// SPDX-License-Identifier: Apache-2.0
// The gate of a route: who may come in, by address, by password, by the word of a service. On the path of a request the
// address is asked for first, then come the rate limits, so that guessing passwords is limited, then the other two.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auth/users_file.h"
#include "auth/verifier.h"
#include "base/result.h"
#include "base/task.h"
#include "config/model.h"
#include "observe/metric_cells.h"
#include "proxy/handlers/forward_auth.h"
#include "routing/access_rules.h"

namespace headgate::proxy {

class Generation;
class Request;
struct CompiledSite;

struct BasicAuthRule {
  std::string challenge;  ///< the value of WWW-Authenticate
  std::shared_ptr<auth::UsersFile> users;
};

/// What of a site and its route decides; null: it does not. Immutable; shared by all workers.
struct Gate {
  std::shared_ptr<const routing::AccessRules> access;
  std::shared_ptr<const BasicAuthRule> basic_auth;
  std::shared_ptr<const ForwardAuthRule> forward_auth;

  bool asks() const { return basic_auth || forward_auth; }
  bool open() const { return !access && !basic_auth && !forward_auth; }
};

/// All gates of a generation. Routes that set nothing of their own share their site's.
struct Gates {
  std::vector<std::unique_ptr<const Gate>> all;
  std::vector<std::shared_ptr<auth::UsersFile>> users_files;  ///< each file once

  /// Makes the gates of all sites and tells them. Throws std::runtime_error with the place of a users_file that cannot
  /// be used.
  void compile(const config::Config& config, std::vector<CompiledSite>& sites);
};

/// False: the client's address may not come in.
bool admits(const Request& request, const Gate& gate);

/// Whether the request has proven what the gate asks beyond the address; false: it has been answered.
Task<Result<bool>> prove(Request& request, const Gate& gate, auth::Verifier& verifier);

/// The answer to who is not let in, counted.
Task<Result<>> deny(Request& request, observe::Denial why);

}  // namespace headgate::proxy
