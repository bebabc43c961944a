// SPDX-License-Identifier: Apache-2.0
// The part of units.h that reads origins (RFC 6454 section 6.2; the serialisation is that of browsers).
#include <algorithm>
#include <charconv>

#include "config/units.h"

namespace headgate::config {
namespace {

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_scheme(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && std::all_of(text.begin(), text.end(), [](char c) {
    return is_letter(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
  });
}

ParseError because(std::string_view text, const char* why) {
  return ParseError{expected(kOriginText, text).message + "; " + why};
}

/// ":8443" as it is, "" for none and for the one that the scheme implies.
Parsed<std::string> parse_port_part(std::string_view scheme, std::string_view part) {
  if (part.empty()) return std::string();
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(part.data() + 1, part.data() + part.size(), port);
  if (error != std::errc() || end != part.data() + part.size() || port == 0) return ParseError{};
  const bool implied = (scheme == "http" && port == 80) || (scheme == "https" && port == 443);
  return implied ? std::string() : ":" + std::to_string(port);
}

}  // namespace

Parsed<std::string> parse_origin(std::string_view text) {
  if (text == "*") return std::string(text);
  if (text == "null") return because(text, "any page can have the origin null");
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  const auto slashes = lower.find("://");
  if (slashes == std::string::npos || !is_scheme(std::string_view(lower).substr(0, slashes))) {
    return expected(kOriginText, text);
  }
  const std::string_view scheme = std::string_view(lower).substr(0, slashes);
  const std::string_view authority = std::string_view(lower).substr(slashes + 3);
  if (authority.find_first_of("/?#") != std::string_view::npos) return because(text, "an origin has no path");
  if (authority.find('@') != std::string_view::npos) return because(text, "an origin has no user name");
  const auto bracket = authority.rfind(']');
  const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const auto port = parse_port_part(scheme, colon == std::string_view::npos ? "" : authority.substr(colon));
  if (!port) return because(text, "its port is not a number from 1 to 65535");
  std::string host(authority.substr(0, colon));
  if (host.starts_with('[')) {
    const auto address = IpAddress::parse(host);
    if (!address || !host.ends_with(']')) return expected(kOriginText, text);
    host = "[" + address->to_string() + "]";
  } else if (const auto name = parse_host(host); !name || host.find(':') != std::string::npos) {
    const bool star = host.find('*') != std::string::npos;
    return star ? because(text, "a star stands only for whole labels at the beginning") : expected(kOriginText, text);
  }
  return std::string(scheme) + "://" + host + *port;
}

}  // namespace headgate::config
