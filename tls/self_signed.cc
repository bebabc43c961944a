// SPDX-License-Identifier: Apache-2.0
#include "tls/self_signed.h"

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/ip.h"
#include "tls/errors.h"
#include "tls/handles.h"

namespace headgate::tls {
namespace {

constexpr long kHour = 60 * 60;
constexpr long kLife = 30 * 24 * kHour;

void need(bool ok) {
  if (!ok) throw TlsError("cannot make a certificate: " + take_error_text());
}

void add_extension(X509* certificate, int id, const std::string& value) {
  X509V3_CTX both{};
  X509V3_set_ctx_nodb(&both);
  X509V3_set_ctx(&both, certificate, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &both, id, value.c_str());
  need(extension != nullptr);
  const int added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  need(added == 1);
}

/// The extension is written in OpenSSL's little language, in which these would mean something else.
void need_plain(const std::string& name) {
  if (name.empty() || name.find_first_of(",;:\\\"\n\r") != std::string::npos) {
    throw TlsError("not a host name: \"" + name + "\"");
  }
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) {
    if (!list.empty()) list += ',';
    if (const auto address = IpAddress::parse(name)) {
      list += "IP:" + address->to_string();
    } else {
      need_plain(name);
      list += "DNS:" + name;
    }
  }
  return list;
}

void set_serial(X509* certificate) {
  unsigned char bytes[16];
  need(RAND_bytes(bytes, sizeof bytes) == 1);
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  const bool done = number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  need(done);
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

std::pair<std::string, std::string> make_self_signed(const std::vector<std::string>& names) {
  if (names.empty()) throw TlsError("a certificate needs a name");
  clear_errors();
  const KeyPtr key(EVP_EC_gen("P-256"));
  const X509Ptr certificate(X509_new());
  need(key != nullptr && certificate != nullptr);
  X509* x = certificate.get();
  need(X509_set_version(x, X509_VERSION_3) == 1);
  set_serial(x);
  need(X509_gmtime_adj(X509_getm_notBefore(x), -kHour) != nullptr);
  need(X509_gmtime_adj(X509_getm_notAfter(x), kLife) != nullptr);
  need(X509_set_pubkey(x, key.get()) == 1);
  X509_NAME* subject = X509_get_subject_name(x);
  // A common name has at most 64 characters (RFC 5280 appendix A.1); the names that count are the alternative ones.
  const std::string common = names.front().substr(0, 64);
  need(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common.data()),
                                  static_cast<int>(common.size()), -1, 0) == 1);
  need(X509_set_issuer_name(x, subject) == 1);
  add_extension(x, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(x, NID_key_usage, "critical,digitalSignature");
  add_extension(x, NID_ext_key_usage, "serverAuth");
  add_extension(x, NID_subject_alt_name, alternative_names(names));
  need(X509_sign(x, key.get(), EVP_sha256()) > 0);
  const BioPtr cert_out(BIO_new(BIO_s_mem()));
  const BioPtr key_out(BIO_new(BIO_s_mem()));
  need(cert_out != nullptr && key_out != nullptr && PEM_write_bio_X509(cert_out.get(), x) == 1);
  need(PEM_write_bio_PKCS8PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  clear_errors();
  return {text_of(cert_out.get()), text_of(key_out.get())};
}

}  // namespace headgate::tls
