// SPDX-License-Identifier: Apache-2.0
#include "tls/client_context.h"

#include <unordered_map>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "base/ip.h"
#include "tls/pem.h"
#include "tls/server_settings.h"

namespace headgate::tls {

/// The last session of each origin: name and address, since the servers of a pool seldom share ticket keys.
class SessionCache {
 public:
  static constexpr std::size_t kMax = 256;

  void store(const std::string& key, SessionPtr session) {
    if (sessions_.size() >= kMax && !sessions_.contains(key)) sessions_.erase(sessions_.begin());
    sessions_[key] = std::move(session);
  }
  ssl_session_st* find(const std::string& key) const {
    const auto at = sessions_.find(key);
    return at != sessions_.end() ? at->second.get() : nullptr;
  }

 private:
  std::unordered_map<std::string, SessionPtr> sessions_;
};

namespace {

/// A ticket arrived: in TLS 1.3 after the handshake, within some read. 1: the session is ours now.
int on_new_session(SSL* connection, SSL_SESSION* session) {
  auto* state = static_cast<ConnectionState*>(SSL_get_app_data(connection));
  if (!state->tickets || SSL_SESSION_is_resumable(session) == 0) return 0;
  state->tickets->sessions->store(state->tickets->key, SessionPtr(session));
  return 1;
}

std::string peer_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&address), size).to_string();
}

void trust(SSL_CTX* settings, const std::string& ca) {
  if (ca.empty()) {
    if (SSL_CTX_set_default_verify_paths(settings) != 1) throw TlsError("system CAs: " + take_error_text());
    return;
  }
  try {
    for (const X509Ptr& authority : parse_certificates(read_pem_file(ca))) {
      if (X509_STORE_add_cert(SSL_CTX_get_cert_store(settings), authority.get()) != 1) {
        throw TlsError(take_error_text());
      }
    }
  } catch (const TlsError& e) {
    throw TlsError(ca + ": " + e.what());
  }
}

void show_certificate(SSL_CTX* settings, const config::UpstreamTls& from) {
  const std::string* reading = &from.cert;
  try {
    PemPair pem;
    pem.cert = read_pem_file(from.cert);
    reading = &from.key;
    // A chain and its key may stand in one file.
    pem.key = from.key.empty() ? pem.cert : read_pem_file(from.key);
    use_pair(settings, parse_pair(pem));
  } catch (const TlsError& e) {
    throw TlsError(*reading + ": " + e.what());
  }
}

}  // namespace

ClientContext::ClientContext(const config::UpstreamTls& settings, const std::vector<std::string>& alpn)
    : verify_(settings.verify), sessions_(std::make_shared<SessionCache>()) {
  clear_errors();
  settings_.reset(SSL_CTX_new(TLS_client_method()));
  if (!settings_) throw TlsError(take_error_text());
  SSL_CTX* ctx = settings_.get();
  apply_common_settings(ctx);
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, on_new_session);
  if (verify_) {
    trust(ctx, settings.ca);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  }
  if (!settings.cert.empty()) show_certificate(ctx, settings);
  std::string wire;
  for (const auto& protocol : alpn) {
    if (protocol.empty() || protocol.size() > 255) throw TlsError("ALPN: a protocol's name has 1 to 255 bytes");
    wire.push_back(static_cast<char>(protocol.size()));
    wire += protocol;
  }
  if (!wire.empty()) {
    // Unlike everything else in OpenSSL, 0 is success here.
    if (SSL_CTX_set_alpn_protos(ctx, reinterpret_cast<const unsigned char*>(wire.data()),
                                static_cast<unsigned>(wire.size())) != 0) {
      throw TlsError(take_error_text());
    }
  }
  clear_errors();
}

ClientContext::~ClientContext() = default;

const char* ClientContext::prepare(ssl_st* connection, ConnectionState& state, const std::string& server_name, int fd) {
  if (verify_ && server_name.empty()) return "tls_no_server_name";
  const auto address = IpAddress::parse(server_name);
  bool done = true;
  if (address) {
    // An address is no SNI (RFC 6066 section 3), and is compared with the certificate's addresses.
    X509_VERIFY_PARAM* verified = SSL_get0_param(connection);
    done = !verify_ || X509_VERIFY_PARAM_set1_ip_asc(verified, address->to_string().c_str()) == 1;
  } else if (!server_name.empty()) {
    done = SSL_set_tlsext_host_name(connection, server_name.c_str()) == 1;
    if (verify_) {
      SSL_set_hostflags(connection, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
      done = done && SSL_set1_host(connection, server_name.c_str()) == 1;
    }
  }
  if (!done) {
    clear_errors();
    return "tls_bad_server_name";
  }
  auto key = server_name + '|' + peer_of(fd);
  if (ssl_session_st* known = sessions_->find(key)) SSL_set_session(connection, known);
  state.tickets = std::make_unique<ConnectionState::Tickets>(ConnectionState::Tickets{sessions_, std::move(key)});
  clear_errors();
  return nullptr;
}

}  // namespace headgate::tls
