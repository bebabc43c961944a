// SPDX-License-Identifier: Apache-2.0
#include "tls/certificates.h"

#include <algorithm>
#include <ctime>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tls/pem.h"

namespace headgate::tls {
namespace {

struct StackOfX509 {
  // The elements stay the ParsedPair's.
  explicit StackOfX509(const std::vector<X509Ptr>& certificates) : stack(sk_X509_new_null()) {
    for (const auto& certificate : certificates) sk_X509_push(stack, certificate.get());
  }
  ~StackOfX509() { sk_X509_free(stack); }
  StackOfX509(const StackOfX509&) = delete;
  StackOfX509& operator=(const StackOfX509&) = delete;
  STACK_OF(X509) * stack;
};

BioPtr memory(const std::string& text) {
  BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) throw TlsError(take_error_text());
  return bio;
}

int no_pass_phrase(char*, int, int, void*) {
  return -1;
}

/// A DNS name as a map key; empty when it is none (an embedded NUL would otherwise make two names of one).
std::string dns_name(const ASN1_STRING* text) {
  const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(text));
  std::string name(data, static_cast<std::size_t>(ASN1_STRING_length(text)));
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c <= ' ' || c > '~') return {};
  }
  if (name.ends_with('.')) name.pop_back();
  return name;
}

std::vector<std::string> alternative_names(X509* certificate) {
  std::vector<std::string> names;
  auto* list = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; list != nullptr && i < sk_GENERAL_NAME_num(list); ++i) {
    const GENERAL_NAME* entry = sk_GENERAL_NAME_value(list, i);
    if (entry->type != GEN_DNS) continue;
    std::string name = dns_name(entry->d.dNSName);
    if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  GENERAL_NAMES_free(list);
  return names;
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names = alternative_names(certificate);
  if (!names.empty()) return names;
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return names;
  std::string name = dns_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (!name.empty()) names.push_back(std::move(name));
  return names;
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* when) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(when, &parts) != 1) throw TlsError("its validity is no time");
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

}  // namespace

// --- PEM -----------------------------------------------------------------------------------------------------------

std::vector<X509Ptr> parse_certificates(const std::string& pem) {
  const BioPtr bio = memory(pem);
  std::vector<X509Ptr> certificates;
  clear_errors();
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, no_pass_phrase, nullptr)) certificates.emplace_back(next);
  // The end of the text shows as "no start line"; anything else is a certificate that cannot be read.
  const unsigned long code = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
  if (!at_end) throw TlsError("a certificate cannot be read: " + take_error_text());
  clear_errors();
  if (certificates.empty()) throw TlsError("no certificate in it (PEM is expected)");
  return certificates;
}

KeyPtr parse_key(const std::string& pem) {
  const BioPtr bio = memory(pem);
  clear_errors();
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_pass_phrase, nullptr));
  if (!key) {
    const bool encrypted = pem.find("ENCRYPTED") != std::string::npos;
    const std::string text = take_error_text();
    if (encrypted) throw TlsError("the key is protected by a pass phrase, which is not supported");
    throw TlsError("no usable private key in it (PEM is expected): " + text);
  }
  clear_errors();
  return key;
}

ParsedPair parse_pair(const PemPair& pem) {
  ParsedPair pair;
  pair.chain = parse_certificates(pem.cert);
  pair.leaf = std::move(pair.chain.front());
  pair.chain.erase(pair.chain.begin());
  pair.key = parse_key(pem.key);
  if (X509_check_private_key(pair.leaf.get(), pair.key.get()) != 1) {
    clear_errors();
    throw TlsError("the key does not belong to the certificate");
  }
  return pair;
}

void use_pair(ssl_ctx_st* settings, const ParsedPair& pair) {
  clear_errors();
  const StackOfX509 chain(pair.chain);
  if (SSL_CTX_use_cert_and_key(settings, pair.leaf.get(), pair.key.get(), chain.stack, 1) != 1) {
    throw TlsError("OpenSSL refuses it: " + take_error_text());
  }
}

bool use_pair(ssl_st* connection, const ParsedPair& pair) {
  const StackOfX509 chain(pair.chain);
  return SSL_use_cert_and_key(connection, pair.leaf.get(), pair.key.get(), chain.stack, 1) == 1;
}

std::shared_ptr<const Certificate> check_pair(PemPair pem, std::string file) {
  const ParsedPair pair = parse_pair(pem);
  const SslCtxPtr trial(SSL_CTX_new(TLS_server_method()));
  if (!trial) throw TlsError(take_error_text());
  use_pair(trial.get(), pair);
  auto certificate = std::make_shared<Certificate>();
  certificate->names = names_of(pair.leaf.get());
  certificate->display_name = certificate->names.empty() ? file : certificate->names.front();
  const char* type = EVP_PKEY_get0_type_name(pair.key.get());
  certificate->key_type = type != nullptr ? type : "unknown";
  certificate->not_after = time_of(X509_get0_notAfter(pair.leaf.get()));
  certificate->file = std::move(file);
  certificate->pem = std::move(pem);
  clear_errors();
  return certificate;
}

// --- the set -------------------------------------------------------------------------------------------------------

CertificateSet::CertificateSet(std::uint64_t version, std::vector<std::shared_ptr<const Certificate>> certificates,
                               std::string client_ca)
    : version_(version), certificates_(std::move(certificates)), client_ca_(std::move(client_ca)) {
  for (std::size_t i = 0; i < certificates_.size(); ++i) {
    for (const std::string& name : certificates_[i]->names) {
      const bool wildcard = name.starts_with("*.");
      offer(wildcard ? wildcard_[name.substr(2)] : exact_[name], i);
    }
  }
  if (certificates_.empty()) return;
  fallback_ = {0};
  if (certificates_[0]->names.empty()) return;
  const std::string& first = certificates_[0]->names.front();
  fallback_ = first.starts_with("*.") ? wildcard_[first.substr(2)] : exact_[first];
}

void CertificateSet::offer(Choice& choice, std::size_t index) const {
  const bool have = std::ranges::any_of(
      choice, [&](std::size_t other) { return certificates_[other]->key_type == certificates_[index]->key_type; });
  if (!have) choice.push_back(index);
}

const CertificateSet::Choice* CertificateSet::find(std::string_view name) const {
  if (const auto at = exact_.find(name); at != exact_.end()) return &at->second;
  const auto dot = name.find('.');
  if (dot == std::string_view::npos || dot == 0) return nullptr;
  const auto at = wildcard_.find(name.substr(dot + 1));
  return at != wildcard_.end() ? &at->second : nullptr;
}

}  // namespace headgate::tls
