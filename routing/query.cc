// SPDX-License-Identifier: Apache-2.0
#include "routing/query.h"

#include <algorithm>

namespace headgate::routing {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

struct Parameter {
  std::string_view name;
  std::string_view value;
};

/// Takes the first parameter off `query`.
Parameter next_parameter(std::string_view& query) {
  const auto end = std::min(query.find('&'), query.size());
  const auto text = query.substr(0, end);
  query.remove_prefix(std::min(end + 1, query.size()));
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return {text, {}};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

bool query_text_is(std::string_view encoded, std::string_view plain) {
  std::size_t at = 0;
  for (std::size_t i = 0; i < encoded.size(); ++i, ++at) {
    if (at == plain.size()) return false;
    char c = encoded[i];
    if (c == '+') {
      c = ' ';
    } else if (c == '%' && encoded.size() - i > 2) {
      const int high = hex_value(encoded[i + 1]);
      const int low = hex_value(encoded[i + 2]);
      if (high >= 0 && low >= 0) {
        c = static_cast<char>(high * 16 + low);
        i += 2;
      }
    }
    if (c != plain[at]) return false;
  }
  return at == plain.size();
}

std::optional<std::string_view> find_query(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto parameter = next_parameter(query);
    if (query_text_is(parameter.name, name)) return parameter.value;
  }
  return std::nullopt;
}

bool query_has(std::string_view query, std::string_view name, std::string_view value) {
  const bool any = value.empty() || value == "*";
  while (!query.empty()) {
    const auto parameter = next_parameter(query);
    if (query_text_is(parameter.name, name) && (any || query_text_is(parameter.value, value))) return true;
  }
  return false;
}

void append_encoded_query(std::string_view text, std::string& out) {
  constexpr std::string_view kKept = "-._~!$'()*,;:@/";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : text) {
    const bool kept = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      kKept.find(c) != std::string_view::npos;
    if (kept) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    const char escape[] = {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    out.append(escape, sizeof escape);
  }
}

}  // namespace headgate::routing
