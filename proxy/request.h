// SPDX-License-Identifier: Apache-2.0
// Request: one Exchange on its way through `serve`, with what serve has settled about it: who asks, for which site and
// route, under which path. Handlers get it and answer through it, so that header rules and the log see every answer.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/model.h"
#include "http/exchange.h"
#include "observe/access_log.h"
#include "routing/template.h"

namespace headgate::proxy {

struct CompiledRoute;
struct CompiledSite;
class Worker;

/// Lives in serve()'s frame, on the exchange's loop. Views point into the exchange or the generation it has pinned.
class Request final : public routing::Variables {
 public:
  Request(http::Exchange& exchange, Worker& worker) : exchange(exchange), worker(worker) {}

  http::Exchange& exchange;
  Worker& worker;

  const CompiledSite* site = nullptr;    ///< null until found
  const CompiledRoute* route = nullptr;  ///< null until found
  IpAddress client;                      ///< the one derived client address
  std::string_view client_text;
  std::string_view request_id;
  std::string_view host;  ///< of Host, lower case, without port
  std::string_view path;  ///< decoded, normalised; rewrites and strip_prefix change it: $uri
  routing::Captures captures;
  std::string_view scheme() const { return exchange.connection().secure ? "https" : "http"; }

  // For the log; handlers fill what they know.
  std::string_view upstream;
  std::string_view pool;
  std::string_view server;
  Duration upstream_time{-1};
  unsigned attempts = 0;
  const char* error = nullptr;  ///< a reason token; null: none of ours

  /// As Exchange::start and respond, after the site's and the route's response_headers have been applied to `head`.
  void start(http::ResponseHead& head);
  Task<Result<>> respond(http::ResponseHead& head, std::span<const char> body);

  /// A short plain answer of our own with a reason for the log: "404 Not Found\n". Adds Cache-Control: no-store from
  /// 400 on. Does nothing when a response has started (then it aborts it).
  Task<Result<>> respond_error(int status, const char* reason);
  /// The same with a sentence of detail for the client, which lives during the call.
  Task<Result<>> respond_error(int status, const char* reason, std::string_view detail);

  // routing::Variables
  void append(const routing::Variable& variable, std::string& out) const override;

 private:
  void apply_response_headers(http::ResponseHead& head);
};

}  // namespace headgate::proxy
