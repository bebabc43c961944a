// SPDX-License-Identifier: Apache-2.0
// One request to the admin API of a running instance, over a unix socket or TCP. Blocking, for the command line only;
// bounded in time and in size, since whatever answers there need not be headgate.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "config/model.h"
#include "config/parsed.h"

namespace headgate::cli {

struct AdminRequest {
  std::string method;
  std::string path;
  std::string token;                          ///< sent as a bearer token; empty: none
  std::chrono::milliseconds timeout{10'000};  ///< for the whole exchange
};

struct AdminReply {
  int status = 0;
  std::string body;
};

/// The answer, whatever its status; or a sentence that says why there is none, with the address in it.
config::Parsed<AdminReply> call_admin(const config::Address& address, const AdminRequest& request);

/// The head and body of one HTTP/1.1 response that was read to its end: by Content-Length, chunked, or as it stands.
config::Parsed<AdminReply> parse_reply(std::string_view text);

}  // namespace headgate::cli
