// SPDX-License-Identifier: Apache-2.0
#include "tls/errors.h"

#include <array>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/log.h"

namespace headgate::tls {
namespace {

const char* verify_reason(long result) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "tls_certificate_expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "tls_certificate_not_yet_valid";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "tls_certificate_name_mismatch";
    default:
      return "tls_certificate_verify_failed";
  }
}

const char* library_reason(unsigned long code) {
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return "tls_handshake_failed";
  const int reason = ERR_GET_REASON(code);
  if (reason >= SSL_AD_REASON_OFFSET) return "tls_peer_alert";
  switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return "tls_client_certificate_required";
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
      return "tls_unsupported_version";
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
      return "tls_nothing_in_common";
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return "tls_no_application_protocol";
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      return "tls_plain_http";
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_UNEXPECTED_MESSAGE:
      return "tls_not_tls";
    default:
      return "tls_handshake_failed";
  }
}

}  // namespace

void clear_errors() {
  // ERR_clear_error goes through all sixteen places of the queue, a thousand instructions each time.
  if (ERR_peek_error() != 0) ERR_clear_error();
}

std::string take_error_text() {
  std::string text;
  std::array<char, 256> line;
  const char* data = nullptr;
  int flags = 0;
  // The queue holds at most sixteen.
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    if (!text.empty()) text += ", ";
    const char* reason = ERR_reason_error_string(code);
    if (reason != nullptr) {
      text += reason;
    } else {
      ERR_error_string_n(code, line.data(), line.size());
      text += line.data();
    }
    if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') text.append(" (").append(data).append(")");
  }
  return text.empty() ? "no details" : text;
}

bool is_truncation() {
  const unsigned long code = ERR_peek_error();
  return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

Error handshake_failure(ssl_st* connection, Side side) {
  const unsigned long code = ERR_peek_error();
  const long verified = SSL_get_verify_result(connection);
  const bool bad_certificate =
      ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  const char* reason = bad_certificate ? verify_reason(verified) : library_reason(code);
  if (spdlog::should_log(spdlog::level::debug)) {
    const std::string detail = bad_certificate ? std::string(": ") + X509_verify_cert_error_string(verified) : "";
    log::debug("TLS handshake with the {} failed: {}: {}{}", side == Side::kUpstream ? "origin" : "client", reason,
               take_error_text(), detail);
  }
  clear_errors();
  return {Errc::kTls, side, reason};
}

Error record_failure(Side side) {
  const unsigned long code = ERR_peek_error();
  const bool alert = ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
  const char* reason = alert ? "tls_peer_alert" : "tls_bad_record";
  if (spdlog::should_log(spdlog::level::debug)) {
    log::debug("TLS connection to the {} failed: {}: {}", side == Side::kUpstream ? "origin" : "client", reason,
               take_error_text());
  }
  clear_errors();
  return {Errc::kTls, side, reason};
}

}  // namespace headgate::tls
