// SPDX-License-Identifier: Apache-2.0
#include "tls/server_context.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "base/log.h"
#include "tls/connection_state.h"
#include "tls/pem.h"
#include "tls/server_settings.h"
#include "tls/socket_bio.h"

namespace headgate::tls {

struct ServerContext::Built {
  SslCtxPtr settings;
  std::shared_ptr<const CertificateSet> certificates;
  std::vector<ParsedPair> pairs;  // as certificates->certificates()
  std::string alpn;
  bool strict_sni = false;
  std::shared_ptr<TicketKeys> tickets;
};

namespace {

using Built = ServerContext::Built;

const Built& built_of(SSL* connection) {
  return *static_cast<const Built*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
}

ConnectionState& state_of(SSL* connection) {
  return *static_cast<ConnectionState*>(SSL_get_app_data(connection));
}

/// Lower case, without a final dot; empty for what no DNS name looks like.
std::string host_name(const char* sent) {
  std::string name(sent);
  if (name.ends_with('.')) name.pop_back();
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    if (!fits) return {};
  }
  return name;
}

/// Notes the name that was asked for (RFC 6066 section 3); called for every full or resumed handshake, named or not.
int on_server_name(SSL* connection, int* alert, void*) {
  ConnectionState& state = state_of(connection);
  const Built& built = built_of(connection);
  if (const char* sent = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name)) state.server_name = host_name(sent);
  if (built.strict_sni && built.certificates->find(state.server_name) == nullptr) {
    state.name_refused = true;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  return state.server_name.empty() ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

/// Chooses the certificates; the fallback's are in the SSL_CTX already.
int on_certificate(SSL* connection, void*) {
  const Built& built = built_of(connection);
  const auto* choice = built.certificates->find(state_of(connection).server_name);
  if (choice == nullptr || *choice == built.certificates->fallback()) return 1;
  SSL_certs_clear(connection);
  for (const std::size_t index : *choice) {
    if (!use_pair(connection, built.pairs[index])) return 0;
  }
  return 1;
}

/// The first of our protocols that the client offers, too (RFC 7301 section 3.2).
int on_alpn(SSL* connection, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
            unsigned offered_size, void*) {
  const std::string& ours = built_of(connection).alpn;
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered, offered_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

bool use_mac_key(EVP_MAC_CTX* mac, TicketKeys::Key& key) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/// Fetched once: looking an algorithm up takes locks of the whole library.
const EVP_CIPHER* ticket_cipher() {
  static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return fetched;
}

/// Seals (1 done, 0 no ticket, -1 failed) or opens (1, 2 and renew, 0 unknown key, -1 failed) a ticket.
int on_ticket(SSL* connection, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              int seal) {
  TicketKeys& tickets = *built_of(connection).tickets;
  if (seal == 1) {
    std::optional<TicketKeys::Key> key = tickets.current();
    if (!key || RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher())) != 1) return 0;
    // In TLS 1.3 the client's part of the handshake is over, and nobody waits for a ticket: it leaves with the answer.
    if (SSL_version(connection) == TLS1_3_VERSION) state_of(connection).wire->gather = true;
    std::memcpy(name, key->name.data(), key->name.size());
    const bool ready =
        EVP_EncryptInit_ex2(cipher, ticket_cipher(), key->cipher.data(), iv, nullptr) == 1 && use_mac_key(mac, *key);
    return ready ? 1 : -1;
  }
  std::optional<TicketKeys::Found> found = tickets.find(std::span<const unsigned char>(name, 16));
  if (!found) return 0;
  const bool ready = EVP_DecryptInit_ex2(cipher, ticket_cipher(), found->key.cipher.data(), iv, nullptr) == 1 &&
                     use_mac_key(mac, found->key);
  if (!ready) return -1;
  // In TLS 1.3 every use of a ticket brings a new one (RFC 8446 appendix C.4); OpenSSL does that for "renew".
  return found->current && SSL_version(connection) != TLS1_3_VERSION ? 1 : 2;
}

void set_tickets(SSL_CTX* settings, bool wanted) {
  if (!wanted) {
    SSL_CTX_set_options(settings, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(settings, 0);
    return;
  }
  // OpenSSL's default is two. One does: whoever uses it gets the next one, and HTTP/2 wants a single connection.
  SSL_CTX_set_num_tickets(settings, 1);
  SSL_CTX_set_timeout(settings, static_cast<long>(TicketKeys::kSessionLife.count()));
  SSL_CTX_set_tlsext_ticket_key_evp_cb(settings, on_ticket);
}

std::string wire_format(const std::vector<std::string>& protocols) {
  std::string wire;
  for (const auto& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255) throw TlsError("ALPN: a protocol's name has 1 to 255 bytes");
    wire.push_back(static_cast<char>(protocol.size()));
    wire += protocol;
  }
  return wire;
}

}  // namespace

ServerContext::ServerContext(std::shared_ptr<const CertificateStore> store, config::Tls settings,
                             std::vector<std::string> alpn, std::shared_ptr<TicketKeys> tickets)
    : store_(std::move(store)), settings_(std::move(settings)), alpn_(wire_format(alpn)), tickets_(std::move(tickets)) {
  auto certificates = store_->current();
  version_ = certificates->version();
  built_ = build(std::move(certificates));
}

ServerContext::~ServerContext() = default;

ssl_ctx_st* ServerContext::settings_of(const Built& built) {
  return built.settings.get();
}

std::shared_ptr<const ServerContext::Built> ServerContext::build(
    std::shared_ptr<const CertificateSet> certificates) const {
  if (certificates->certificates().empty()) throw TlsError("tls.certificates: a TLS listener needs one");
  auto built = std::make_shared<Built>();
  built->settings = make_server_settings(settings_, certificates->client_ca());
  for (const auto& certificate : certificates->certificates()) built->pairs.push_back(parse_pair(certificate->pem));
  built->certificates = std::move(certificates);
  built->alpn = alpn_;
  built->strict_sni = settings_.strict_sni;
  built->tickets = tickets_;
  SSL_CTX* settings = built->settings.get();
  for (const std::size_t index : built->certificates->fallback()) use_pair(settings, built->pairs[index]);
  SSL_CTX_set_app_data(settings, built.get());
  SSL_CTX_set_tlsext_servername_callback(settings, on_server_name);
  SSL_CTX_set_cert_cb(settings, on_certificate, nullptr);
  if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(settings, on_alpn, nullptr);
  set_tickets(settings, settings_.session_tickets);
  clear_errors();
  return built;
}

std::shared_ptr<const ServerContext::Built> ServerContext::current() {
  if (store_->version() != version_) {
    auto certificates = store_->current();
    version_ = certificates->version();
    try {
      built_ = build(std::move(certificates));
    } catch (const TlsError& e) {
      log::error("TLS settings not renewed, the old ones stay in use: {}", e.what());
    }
  }
  return built_;
}

}  // namespace headgate::tls
