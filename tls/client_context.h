// SPDX-License-Identifier: Apache-2.0
// What a worker needs to connect to origins over TLS: one SSL_CTX, and the sessions that origins gave, so that the next
// handshake with the same origin is a short one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/model.h"
#include "tls/connection_state.h"
#include "tls/errors.h"
#include "tls/handles.h"

namespace headgate::tls {

/// One loop's thread. Connections made with it may outlive it.
class ClientContext {
 public:
  /// Reads `ca` (the system's authorities when empty), `cert` and `key`; throws TlsError naming the file. `alpn`:
  /// preferred first; empty: not spoken.
  explicit ClientContext(const config::UpstreamTls& settings, const std::vector<std::string>& alpn = {});
  ~ClientContext();
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;

  /// For connect(): SNI, the name to verify and a session to resume. Returns a reason when it must not be tried.
  const char* prepare(ssl_st* connection, ConnectionState& state, const std::string& server_name, int fd);
  ssl_ctx_st* settings() { return settings_.get(); }

 private:
  bool verify_;
  SslCtxPtr settings_;
  std::shared_ptr<SessionCache> sessions_;
};

}  // namespace headgate::tls
