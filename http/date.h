// SPDX-License-Identifier: Apache-2.0
// HTTP-date (RFC 9110 section 5.6.7): the one format that is written and the three that must be read. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace headgate::http {

/// A moment as IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT", held in place: no allocation.
class HttpDate {
 public:
  static constexpr std::size_t kLength = 29;

  HttpDate() : HttpDate(0) {}

  /// Seconds since 1970 in UTC; clamped to the years 0000 to 9999, which is what four digits can say.
  explicit HttpDate(std::int64_t unix_seconds);

  /// Lives as long as this object.
  std::string_view text() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, kLength> text_;
};

/// Reads IMF-fixdate and the obsolete RFC 850 and asctime forms; nullopt for anything else, a date that does not exist
/// included. `now` (Unix seconds) settles the century of RFC 850's two-digit year: never more than 50 years ahead.
std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now);

}  // namespace headgate::http
