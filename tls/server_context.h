// SPDX-License-Identifier: Apache-2.0
// What a worker needs to accept TLS: one SSL_CTX of its own (OpenSSL 3.0 contends on shared ones), built from the
// store's current certificates and built again by itself when they change. Connections keep the SSL_CTX they began
// with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/model.h"
#include "tls/certificates.h"
#include "tls/handles.h"
#include "tls/ticket_keys.h"

namespace headgate::tls {

/// One worker's thread, after construction (which may be anywhere). Shares the store and the ticket keys.
class ServerContext {
 public:
  /// `alpn`: the protocols of this listener, preferred first, such as {"http/1.1"}; a client that asks for ALPN and has
  /// none of them is refused (RFC 7301 section 3.2); empty: ALPN is not spoken. Throws TlsError.
  ServerContext(std::shared_ptr<const CertificateStore> store, config::Tls settings, std::vector<std::string> alpn,
                std::shared_ptr<TicketKeys> tickets);
  ~ServerContext();

  struct Built;  ///< internal: an SSL_CTX and what its callbacks use

  /// For the next handshake. When the store has changed it is built anew; should that fail, the old one stays and one
  /// line is logged.
  std::shared_ptr<const Built> current();
  static ssl_ctx_st* settings_of(const Built& built);

 private:
  std::shared_ptr<const Built> build(std::shared_ptr<const CertificateSet> certificates) const;

  std::shared_ptr<const CertificateStore> store_;
  config::Tls settings_;
  std::string alpn_;  // in wire format
  std::shared_ptr<TicketKeys> tickets_;
  std::uint64_t version_ = 0;
  std::shared_ptr<const Built> built_;
};

}  // namespace headgate::tls
