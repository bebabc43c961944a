// SPDX-License-Identifier: Apache-2.0
#include "test_authority.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace headgate::tls {
namespace {

void need(bool ok) {
  if (!ok) throw std::runtime_error("test certificate: " + take_error_text());
}

std::string text_of(const BioPtr& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

void extend(X509* certificate, X509* issuer, int id, const std::string& value) {
  X509V3_CTX both{};
  X509V3_set_ctx(&both, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &both, id, value.c_str());
  need(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

X509Ptr blank(evp_pkey_st* key, const std::string& name, long begins, long ends) {
  static std::atomic<long> serial{1000};
  X509Ptr certificate(X509_new());
  X509* x = certificate.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), begins);
  X509_gmtime_adj(X509_getm_notAfter(x), ends);
  X509_set_pubkey(x, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

std::string certificate_text(X509* certificate) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  need(PEM_write_bio_X509(out.get(), certificate) == 1);
  return text_of(out);
}

std::string key_text(evp_pkey_st* key, bool encrypted) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  const EVP_CIPHER* cipher = encrypted ? EVP_aes_128_cbc() : nullptr;
  need(PEM_write_bio_PKCS8PrivateKey(out.get(), key, cipher, encrypted ? "secret" : nullptr, encrypted ? 6 : 0, nullptr,
                                     nullptr) == 1);
  return text_of(out);
}

}  // namespace

TestAuthority::TestAuthority(const std::string& name) : key_(EVP_EC_gen("P-256")) {
  certificate_ = blank(key_.get(), name, -3600, 365 * 24 * 3600);
  X509* x = certificate_.get();
  X509_set_issuer_name(x, X509_get_subject_name(x));
  extend(x, x, NID_basic_constraints, "critical,CA:TRUE");
  extend(x, x, NID_key_usage, "critical,keyCertSign,cRLSign");
  need(X509_sign(x, key_.get(), EVP_sha256()) > 0);
  pem_ = certificate_text(x);
}

PemPair TestAuthority::issue(const Wanted& wanted) const {
  const KeyPtr key(wanted.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
  need(key != nullptr);
  const X509Ptr leaf = blank(key.get(), wanted.common_name, wanted.begins, wanted.ends);
  X509* x = leaf.get();
  X509_set_issuer_name(x, X509_get_subject_name(certificate_.get()));
  std::string list;
  for (const auto& name : wanted.names) list += (list.empty() ? "" : ",") + name;
  if (!list.empty()) extend(x, certificate_.get(), NID_subject_alt_name, list);
  need(X509_sign(x, key_.get(), EVP_sha256()) > 0);
  return {certificate_text(x) + pem_, key_text(key.get(), wanted.encrypted_key)};
}

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "headgate-tls-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  root_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string TempDir::write(const std::string& name, const std::string& text) const {
  const std::string to = path(name);
  {
    std::ofstream out(to + ".new", std::ios::binary | std::ios::trunc);
    out << text;
  }
  std::filesystem::rename(to + ".new", to);
  return to;
}

}  // namespace headgate::tls
