// SPDX-License-Identifier: Apache-2.0
#include "auth/credentials.h"

#include <algorithm>

#include "auth/base64.h"
#include "auth/password_hash.h"
#include "auth/users_file.h"

namespace headgate::auth {
namespace {

constexpr std::string_view kScheme = "basic";

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

/// The scheme's name in any case, and blanks behind it; RFC 9110 section 11.4.
bool take_scheme(std::string_view& value) {
  if (value.size() <= kScheme.size() || value[kScheme.size()] != ' ') return false;
  for (std::size_t i = 0; i < kScheme.size(); ++i) {
    if ((value[i] | 0x20) != kScheme[i]) return false;
  }
  value.remove_prefix(kScheme.size());
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  while (value.ends_with(' ')) value.remove_suffix(1);
  return true;
}

}  // namespace

std::optional<Credentials> parse_basic(std::string_view value) {
  if (!take_scheme(value) || value.size() > (kLongestUser + kLongestPassword) * 2) return std::nullopt;
  const auto text = decode_base64(value);
  if (!text || std::any_of(text->begin(), text->end(), is_control)) return std::nullopt;
  const auto colon = text->find(':');
  if (colon == std::string::npos || colon > kLongestUser || text->size() - colon - 1 > kLongestPassword) {
    return std::nullopt;
  }
  return Credentials{text->substr(0, colon), text->substr(colon + 1)};
}

std::string basic_challenge(std::string_view realm) {
  std::string out = "Basic realm=\"";
  for (const char c : realm) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\", charset=\"UTF-8\"";
}

}  // namespace headgate::auth
