// SPDX-License-Identifier: Apache-2.0
#include "tls/server_settings.h"

#include <array>
#include <string_view>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls/errors.h"
#include "tls/pem.h"

namespace headgate::tls {
namespace {

// The suites of TLS 1.3 are the same in both of Mozilla's sets.
constexpr const char* kSuites13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

// Mozilla's modern set is TLS 1.3 alone. Where 1.2 is allowed beside it, what keeps its promises there: forward
// secrecy by elliptic curves, authenticated encryption.
constexpr const char* kModern12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

// Mozilla's intermediate set: the same, and finite-field Diffie-Hellman for old clients.
constexpr const char* kIntermediateExtra =
    ":DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";

struct Ciphers {
  std::string suites13;
  std::string list12;
};

/// Names that begin with TLS_ are suites of 1.3, everything else is OpenSSL's language of cipher lists.
Ciphers split_list(std::string_view list) {
  Ciphers ciphers;
  while (!list.empty()) {
    const auto end = list.find_first_of(":, ");
    const std::string_view name = list.substr(0, end);
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 1);
    if (name.empty()) continue;
    std::string& into = name.starts_with("TLS_") ? ciphers.suites13 : ciphers.list12;
    if (!into.empty()) into += ':';
    into += name;
  }
  return ciphers;
}

void set_ciphers(SSL_CTX* settings, const std::string& wanted, bool only13) {
  Ciphers ciphers;
  if (wanted == "modern") {
    ciphers = {kSuites13, kModern12};
  } else if (wanted == "intermediate") {
    ciphers = {kSuites13, std::string(kModern12) + kIntermediateExtra};
    SSL_CTX_set_dh_auto(settings, 1);
  } else {
    ciphers = split_list(wanted);
    SSL_CTX_set_dh_auto(settings, 1);
    if (ciphers.suites13.empty() && ciphers.list12.empty()) throw TlsError("tls.ciphers: the list is empty");
  }
  if (!ciphers.suites13.empty() && SSL_CTX_set_ciphersuites(settings, ciphers.suites13.c_str()) != 1) {
    throw TlsError("tls.ciphers: " + ciphers.suites13 + ": " + take_error_text());
  }
  if (!ciphers.list12.empty()) {
    if (SSL_CTX_set_cipher_list(settings, ciphers.list12.c_str()) != 1) {
      throw TlsError("tls.ciphers: " + ciphers.list12 + ": " + take_error_text());
    }
  } else if (!only13) {
    // Suites of 1.3 alone: what else could be meant.
    SSL_CTX_set_min_proto_version(settings, TLS1_3_VERSION);
  }
}

void set_client_verification(SSL_CTX* settings, config::VerifyClient verify, const std::string& client_ca) {
  if (verify == config::VerifyClient::kOff) return;
  if (client_ca.empty()) throw TlsError("tls.verify_client: needs client_ca");
  X509_STORE* trusted = SSL_CTX_get_cert_store(settings);
  for (const X509Ptr& authority : parse_certificates(client_ca)) {
    if (X509_STORE_add_cert(trusted, authority.get()) != 1 || SSL_CTX_add_client_CA(settings, authority.get()) != 1) {
      throw TlsError("tls.client_ca: " + take_error_text());
    }
  }
  const int required = verify == config::VerifyClient::kRequired ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
  SSL_CTX_set_verify(settings, SSL_VERIFY_PEER | required, nullptr);
}

/// A session may be resumed only where a full handshake would have asked the client for the same proof. Tickets outlive
/// a reload, so what was asked is part of them.
void set_session_scope(SSL_CTX* settings, config::VerifyClient verify, const std::string& client_ca) {
  const std::string asked = std::to_string(static_cast<int>(verify)) + ":" + client_ca;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(asked.data(), asked.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1 ||
      SSL_CTX_set_session_id_context(settings, digest.data(), size) != 1) {
    throw TlsError(take_error_text());
  }
}

}  // namespace

void apply_common_settings(ssl_ctx_st* settings) {
  SSL_CTX_set_options(settings, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(settings,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One recv takes what is there, instead of one for a record's head and one for its body.
  SSL_CTX_set_read_ahead(settings, 1);
  SSL_CTX_set_session_cache_mode(settings, SSL_SESS_CACHE_OFF);
}

SslCtxPtr make_server_settings(const config::Tls& settings, const std::string& client_ca) {
  clear_errors();
  SslCtxPtr made(SSL_CTX_new(TLS_server_method()));
  if (!made) throw TlsError(take_error_text());
  SSL_CTX* ctx = made.get();
  apply_common_settings(ctx);
  SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  const bool only13 = settings.min_version == config::Tls::Version::k13;
  SSL_CTX_set_min_proto_version(ctx, only13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
  set_ciphers(ctx, settings.ciphers, only13);
  if (SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1) throw TlsError(take_error_text());
  set_client_verification(ctx, settings.verify_client, client_ca);
  set_session_scope(ctx, settings.verify_client, client_ca);
  clear_errors();
  return made;
}

}  // namespace headgate::tls
