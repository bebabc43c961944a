// SPDX-License-Identifier: Apache-2.0
#include "upstream/sticky.h"

#include <algorithm>
#include <charconv>

#include "upstream/random_numbers.h"

namespace headgate::upstream {
namespace {

constexpr std::size_t kTokenDigits = 16;
constexpr std::size_t kTimeDigits = 10;  // seconds since 1970, for the next thirty thousand years

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = text.size();
  for (const char c : text) hash = mix(hash + static_cast<unsigned char>(c) + kGolden);
  return hash;
}

/// Lower-case digits only: one value has one spelling.
std::optional<std::uint64_t> parse_hex(std::string_view text) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (!std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return value;
}

void append_hex(std::string& out, std::uint64_t value, std::size_t digits) {
  for (std::size_t left = digits; left > 0; --left) out += "0123456789abcdef"[(value >> (4 * (left - 1))) & 15];
}

}  // namespace

Sticky::Sticky(std::string_view upstream, const config::Sticky& settings)
    : name_(settings.cookie), ttl_(settings.ttl), key_(hash_of(upstream)) {}

std::uint64_t Sticky::token(std::uint64_t id) const {
  return mix(mix(id + kGolden) ^ key_);
}

std::optional<Sticky::Cookie> Sticky::parse(std::string_view value) {
  const bool timed = value.size() == kTokenDigits + 1 + kTimeDigits && value[kTokenDigits] == '.';
  if (!timed && value.size() != kTokenDigits) return std::nullopt;
  const auto token = parse_hex(value.substr(0, kTokenDigits));
  if (!token) return std::nullopt;
  if (!timed) return Cookie{*token, std::nullopt};
  const auto issued = parse_hex(value.substr(kTokenDigits + 1));
  if (!issued) return std::nullopt;
  return Cookie{*token, Time(std::chrono::seconds(*issued))};
}

bool Sticky::needs_renewal(const Cookie& cookie, Time now) const {
  if (ttl_ <= ttl_.zero()) return false;
  if (!cookie.issued || *cookie.issued > now) return true;  // of another configuration, or made up
  return 2 * (now - *cookie.issued) > ttl_;                 // at most 2^40 s: no overflow
}

std::string Sticky::issue(std::uint64_t token, Time now, bool secure) const {
  std::string out;
  out.reserve(name_.size() + 96);
  out += name_;
  out += '=';
  append_hex(out, token, kTokenDigits);
  if (ttl_ > ttl_.zero()) {
    out += '.';
    const auto issued = std::max<std::int64_t>(now.time_since_epoch().count(), 0);
    append_hex(out, static_cast<std::uint64_t>(issued), kTimeDigits);
  }
  out += "; Path=/";
  if (ttl_ > ttl_.zero()) out += "; Max-Age=" + std::to_string(ttl_.count());
  out += "; HttpOnly; SameSite=Lax";
  if (secure) out += "; Secure";
  return out;
}

}  // namespace headgate::upstream
