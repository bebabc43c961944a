// SPDX-License-Identifier: Apache-2.0
#include "tls/digest.h"

#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

namespace headgate::tls {
namespace {

template <class Digest>
std::optional<Digest> digest_of(const EVP_MD* algorithm, std::string_view data) {
  Digest digest;
  unsigned size = 0;
  const bool made = EVP_Digest(data.data(), data.size(), digest.data(), &size, algorithm, nullptr) == 1;
  if (made && size == digest.size()) return digest;
  ERR_clear_error();
  return std::nullopt;
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::optional<Md5> md5_of(std::string_view data) {
  return digest_of<Md5>(EVP_md5(), data);
}

std::optional<Sha1> sha1_of(std::string_view data) {
  return digest_of<Sha1>(EVP_sha1(), data);
}

std::optional<Sha256> hmac_sha256_of(std::string_view key, std::string_view data) {
  Sha256 digest;
  unsigned size = 0;
  const auto* const made =
      HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(data), data.size(), digest.data(), &size);
  if (made != nullptr && size == digest.size()) return digest;
  ERR_clear_error();
  return std::nullopt;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) {
    ERR_clear_error();
    throw std::runtime_error("OpenSSL has no random numbers");
  }
  return bytes;
}

}  // namespace headgate::tls
