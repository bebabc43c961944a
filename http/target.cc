// SPDX-License-Identifier: Apache-2.0
#include "http/target.h"

#include <array>

#include "http/byte_scan.h"

namespace headgate::http {
namespace {

/// A registered name without escapes, which no host on the wire has.
constexpr auto kHostChars = [] {
  std::array<bool, 256> table{};
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c : std::string_view("-._~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

/// ":" and a port behind a host; RFC 3986 section 3.2.3 allows it to be empty.
bool is_port(std::string_view text) {
  if (text.empty()) return true;
  if (text.front() != ':' || text.size() > 6) return false;
  unsigned port = 0;
  for (const char c : text.substr(1)) {
    if (!is_digit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port <= 65535;
}

}  // namespace

bool is_authority(std::string_view text) {
  std::size_t host_end = 0;
  if (text.starts_with('[')) {
    host_end = text.find(']');
    if (host_end == std::string_view::npos || host_end < 3) return false;
    const auto inside = text.substr(1, host_end - 1);
    if (inside.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return false;
    ++host_end;
  } else {
    while (host_end < text.size() && kHostChars[static_cast<unsigned char>(text[host_end])]) ++host_end;
    if (host_end == 0) return false;
  }
  return is_port(text.substr(host_end));
}

bool split_target(RequestHead& head) {
  const char* const begin = head.target.data();
  const char* const end = begin + head.target.size();
  const char* const path_end = find_first<PathEnd>(begin, begin, end);
  head.path = {begin, static_cast<std::size_t>(path_end - begin)};
  if (path_end != end) head.query = {path_end + 1, static_cast<std::size_t>(end - path_end - 1)};
  const bool fragment = path_end != end && (*path_end == '#' || head.query.find('#') != std::string_view::npos);
  return !fragment;
}

}  // namespace headgate::http
