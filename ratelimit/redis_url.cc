// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/redis_url.h"

#include "config/units.h"

namespace headgate::ratelimit {
namespace {

constexpr std::string_view kScheme = "redis://";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// A percent sign that begins no escape stands for itself: passwords are often pasted as they are.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (!escape) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(16 * hex_digit(text[i + 1]) + hex_digit(text[i + 2]));
    i += 2;
  }
  return out;
}

}  // namespace

std::string RedisUrl::name() const {
  if (address.kind == config::Address::Kind::kUnix) return address.text;
  return std::string(kScheme) + address.text + "/" + std::to_string(database);
}

std::optional<RedisUrl> RedisUrl::parse(std::string_view text) {
  RedisUrl url;
  std::string_view server = text;
  if (!text.starts_with("unix:")) {
    if (!text.starts_with(kScheme)) return std::nullopt;
    server.remove_prefix(kScheme.size());
    if (const auto at = server.rfind('@'); at != std::string_view::npos) {
      const auto credentials = server.substr(0, at);
      server.remove_prefix(at + 1);
      const auto colon = credentials.find(':');
      url.user = decoded(credentials.substr(0, colon));
      if (colon != std::string_view::npos) url.password = decoded(credentials.substr(colon + 1));
    }
    if (const auto slash = server.find('/'); slash != std::string_view::npos) {
      const auto number = server.substr(slash + 1);
      server = server.substr(0, slash);
      if (!number.empty()) {
        const auto database = config::parse_integer(number, 0, 1'000'000);
        if (!database) return std::nullopt;
        url.database = static_cast<int>(*database);
      }
    }
  }
  auto address = config::parse_server_address(server);
  if (!address) return std::nullopt;
  url.address = *std::move(address);
  return url;
}

}  // namespace headgate::ratelimit
