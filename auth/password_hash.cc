// SPDX-License-Identifier: Apache-2.0
#include "auth/password_hash.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include <crypt.h>

#include "auth/base64.h"
#include "tls/digest.h"

namespace headgate::auth {
namespace {

constexpr std::string_view kLetters = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kApr1 = "$apr1$";
constexpr std::string_view kSha1 = "{SHA}";
constexpr std::size_t kMostApr1Salt = 8;
constexpr std::size_t kMostShaSalt = 16;
constexpr const char* kExpected = "expected bcrypt, apr1, SHA-crypt or {SHA}";

bool all_letters(std::string_view text) {
  return text.find_first_not_of(kLetters) == std::string_view::npos;
}

bool is_bcrypt(std::string_view hash) {
  return hash.starts_with("$2y$") || hash.starts_with("$2b$") || hash.starts_with("$2a$");
}

template <class Number>
std::optional<Number> number_in(std::string_view digits) {
  Number number{};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

/// $2y$10$ and 53 letters: 22 of the salt, 31 of the checksum.
std::optional<std::string> problem_with_bcrypt(std::string_view hash) {
  const bool formed = hash.size() == 60 && hash[6] == '$' && all_letters(hash.substr(7));
  const auto cost = formed ? number_in<unsigned>(hash.substr(4, 2)) : std::nullopt;
  if (!cost || *cost < 4) return "this bcrypt hash is not complete";
  if (*cost > kMostBcryptCost) {
    return "a bcrypt cost of " + std::to_string(*cost) + " takes too long: " + std::to_string(kMostBcryptCost) +
           " is the most";
  }
  return std::nullopt;
}

std::optional<std::string> problem_with_apr1(std::string_view hash) {
  const auto rest = hash.substr(kApr1.size());
  const auto dollar = rest.find('$');
  const bool formed = dollar != std::string_view::npos && dollar >= 1 && dollar <= kMostApr1Salt &&
                      rest.size() == dollar + 1 + 22 && all_letters(rest.substr(dollar + 1));
  if (!formed) return "this apr1 hash is not complete";
  return std::nullopt;
}

/// $5$[rounds=N$]SALT$CHECKSUM
std::optional<std::string> problem_with_sha_crypt(std::string_view hash) {
  constexpr std::string_view kRounds = "rounds=";
  const std::size_t checksum = hash[1] == '5' ? 43 : 86;
  auto rest = hash.substr(3);
  if (rest.starts_with(kRounds)) {
    const auto end = rest.find('$');
    const auto rounds = number_in<unsigned long>(rest.substr(0, end).substr(kRounds.size()));
    if (!rounds || end == std::string_view::npos) return "this SHA-crypt hash is not complete";
    if (*rounds > kMostShaRounds) {
      return std::to_string(*rounds) + " rounds take too long: " + std::to_string(kMostShaRounds) + " are the most";
    }
    rest.remove_prefix(end + 1);
  }
  const auto dollar = rest.find('$');
  const bool formed = dollar != std::string_view::npos && dollar <= kMostShaSalt &&
                      rest.size() == dollar + 1 + checksum && all_letters(rest.substr(dollar + 1));
  if (!formed) return "this SHA-crypt hash is not complete";
  return std::nullopt;
}

/// As the reference implementation does: three bytes are four letters, the lowest six bits first.
void append_letters(std::string& out, unsigned value, unsigned count) {
  for (; count > 0; --count, value >>= 6) out.push_back(kLetters[value & 0x3f]);
}

std::string_view text_of(const tls::Md5& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// The first sum of apr1: password, magic, salt, and a second sum's bytes.
std::optional<tls::Md5> first_apr1_sum(std::string_view password, std::string_view salt) {
  std::string text;
  text.append(password).append(salt).append(password);
  const auto inner = tls::md5_of(text);
  if (!inner) return std::nullopt;
  text.assign(password).append(kApr1).append(salt);
  for (std::size_t left = password.size(); left > 0;) {
    const std::size_t part = std::min<std::size_t>(left, inner->size());
    text.append(text_of(*inner).substr(0, part));
    left -= part;
  }
  for (std::size_t bits = password.size(); bits > 0; bits >>= 1) {
    text.push_back((bits & 1) != 0 ? '\0' : password[0]);
  }
  return tls::md5_of(text);
}

bool matches_crypt(const std::string& password, const std::string& hash) {
  const auto work = std::make_unique<crypt_data>();
  const char* const made = ::crypt_r(password.c_str(), hash.c_str(), work.get());
  return made != nullptr && tls::equal_in_constant_time(made, hash);
}

bool matches_apr1(const std::string& password, std::string_view hash) {
  const auto rest = hash.substr(kApr1.size());
  const auto dollar = rest.find('$');
  const auto made = apr1_checksum(password, rest.substr(0, dollar));
  return made && tls::equal_in_constant_time(*made, rest.substr(dollar + 1));
}

bool matches_sha1(const std::string& password, std::string_view hash) {
  const auto made = tls::sha1_of(password);
  const auto kept = decode_base64(hash.substr(kSha1.size()));
  return made && kept &&
         tls::equal_in_constant_time({reinterpret_cast<const char*>(made->data()), made->size()}, *kept);
}

}  // namespace

std::optional<std::string> apr1_checksum(std::string_view password, std::string_view salt) {
  constexpr unsigned kRounds = 1000;
  auto sum = first_apr1_sum(password, salt);
  std::string text;
  for (unsigned round = 0; sum && round < kRounds; ++round) {
    const bool odd = (round & 1) != 0;
    text.assign(odd ? password : text_of(*sum));
    if (round % 3 != 0) text.append(salt);
    if (round % 7 != 0) text.append(password);
    text.append(odd ? text_of(*sum) : password);
    sum = tls::md5_of(text);
  }
  if (!sum) return std::nullopt;
  const auto& s = *sum;
  const auto three = [&](std::size_t a, std::size_t b, std::size_t c) {
    return static_cast<unsigned>(s[a]) << 16 | static_cast<unsigned>(s[b]) << 8 | s[c];
  };
  std::string out;
  append_letters(out, three(0, 6, 12), 4);
  append_letters(out, three(1, 7, 13), 4);
  append_letters(out, three(2, 8, 14), 4);
  append_letters(out, three(3, 9, 15), 4);
  append_letters(out, three(4, 10, 5), 4);
  append_letters(out, s[11], 2);
  return out;
}

std::optional<std::string> problem_with_hash(std::string_view hash) {
  if (is_bcrypt(hash)) return problem_with_bcrypt(hash);
  if (hash.starts_with(kApr1)) return problem_with_apr1(hash);
  if (hash.starts_with("$5$") || hash.starts_with("$6$")) return problem_with_sha_crypt(hash);
  if (hash.starts_with(kSha1)) {
    const auto bytes = decode_base64(hash.substr(kSha1.size()));
    if (!bytes || bytes->size() != tls::Sha1().size()) return "this {SHA} hash is not complete";
    return std::nullopt;
  }
  return std::string(kExpected) + ", as `htpasswd -B` makes";
}

bool matches(const std::string& password, const std::string& hash) {
  // What follows a NUL libcrypt would not see.
  if (password.size() > kLongestPassword || password.find('\0') != std::string::npos) return false;
  if (hash.starts_with(kApr1)) return matches_apr1(password, hash);
  if (hash.starts_with(kSha1)) return matches_sha1(password, hash);
  return matches_crypt(password, hash);
}

}  // namespace headgate::auth
