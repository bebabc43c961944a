// SPDX-License-Identifier: Apache-2.0
#include "config/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace headgate::config {
namespace {

constexpr std::size_t kShownText = 80;

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Digits with at most one point: no sign, no exponent, no "inf".
std::optional<double> decimal(std::string_view text) {
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

struct Unit {
  std::string_view suffix;
  std::uint64_t factor;
};

constexpr std::array<Unit, 4> kDurationUnits = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<Unit, 6> kSizeUnits = {
    {{"GiB", kMiB * 1024}, {"MiB", kMiB}, {"KiB", kKiB}, {"GB", 1'000'000'000}, {"MB", 1'000'000}, {"KB", 1000}}};
constexpr std::uint64_t kLongestDuration = 365ull * 24 * 3'600'000;

// Where the number ends and its unit begins.
std::pair<std::string_view, std::string_view> split_unit(std::string_view text) {
  const auto end = text.find_first_not_of("0123456789.");
  if (end == std::string_view::npos) return {text, {}};
  return {text.substr(0, end), text.substr(end)};
}

}  // namespace

ParseError expected(std::string_view what, std::string_view got) {
  std::string message = "expected ";
  message += what;
  message += ", got '";
  message += got.substr(0, kShownText);
  message += got.size() > kShownText ? "...'" : "'";
  return {message};
}

Parsed<bool> parse_boolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return expected(kBooleanText, text);
}

Parsed<std::uint64_t> parse_integer(std::string_view text, std::uint64_t least, std::uint64_t most) {
  const auto value = whole_number(text);
  if (value && *value >= least && *value <= most) return *value;
  std::string what = "a whole number";
  if (most == std::numeric_limits<std::uint64_t>::max()) {
    what += least == 0 ? "" : " of at least " + std::to_string(least);
  } else {
    what += " from " + std::to_string(least) + " to " + std::to_string(most);
  }
  return expected(what, text);
}

Parsed<milliseconds> parse_duration(std::string_view text) {
  if (text == "0") return milliseconds(0);
  const auto [number, suffix] = split_unit(text);
  const auto value = decimal(number);
  for (const Unit& unit : kDurationUnits) {
    if (unit.suffix != suffix || !value) continue;
    const double scaled = *value * static_cast<double>(unit.factor);
    if (scaled > static_cast<double>(kLongestDuration)) return expected("a duration of at most 8760h", text);
    if (scaled != std::floor(scaled)) return expected("a duration in whole milliseconds", text);
    return milliseconds(static_cast<std::int64_t>(scaled));
  }
  return expected(kDurationText, text);
}

Parsed<std::uint64_t> parse_size(std::string_view text) {
  const auto [number, suffix] = split_unit(text);
  const auto value = whole_number(number);
  if (!value) return expected(kSizeText, text);
  if (suffix.empty()) return *value;
  for (const Unit& unit : kSizeUnits) {
    if (unit.suffix != suffix) continue;
    if (*value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / unit.factor) break;
    return *value * unit.factor;
  }
  return expected(kSizeText, text);
}

Parsed<Rate> parse_rate(std::string_view text) {
  const auto slash = text.find('/');
  const auto count = whole_number(text.substr(0, slash));
  if (slash == std::string_view::npos || !count || *count == 0 || *count > 1'000'000'000)
    return expected(kRateText, text);
  const std::string_view per = text.substr(slash + 1);
  if (per == "s") return Rate{*count, 1s};
  if (per == "m") return Rate{*count, 1min};
  if (per == "h") return Rate{*count, 1h};
  return expected(kRateText, text);
}

Parsed<double> parse_percent(std::string_view text, double most) {
  const auto value = text.ends_with('%') ? decimal(text.substr(0, text.size() - 1)) : std::nullopt;
  if (!value) return expected(kPercentText, text);
  if (*value > most) return expected("a percentage of at most " + number_text(most) + "%", text);
  return *value / 100;
}

Parsed<double> parse_percent(std::string_view text) {
  return parse_percent(text, 100);
}

Parsed<double> parse_weight(std::string_view text) {
  const auto value = decimal(text);
  if (!value || *value > 1e9) return expected(kWeightText, text);
  return *value;
}

Parsed<std::pair<int, int>> parse_status_range(std::string_view text) {
  const auto dash = text.find('-');
  const auto first = whole_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : whole_number(text.substr(dash + 1));
  const auto in_range = [](const auto& status) { return status && *status >= 100 && *status <= 599; };
  if (!in_range(first) || !in_range(last) || *first > *last) return expected(kStatusRangeText, text);
  return std::pair(static_cast<int>(*first), static_cast<int>(*last));
}

namespace {

constexpr std::array<std::pair<std::string_view, Balance::Kind>, 4> kBalances = {
    {{"round_robin", Balance::Kind::kRoundRobin},
     {"least_requests", Balance::Kind::kLeastRequests},
     {"random_two", Balance::Kind::kRandomTwo},
     {"peak_ewma", Balance::Kind::kPeakEwma}}};

}  // namespace

Parsed<Balance> parse_balance(std::string_view text) {
  for (const auto& [word, kind] : kBalances) {
    if (text == word) return Balance{kind, {}};
  }
  if (text.starts_with("hash(") && text.ends_with(')') && text.size() > 6) {
    return Balance{Balance::Kind::kHash, std::string(text.substr(5, text.size() - 6))};
  }
  return expected("round_robin, least_requests, random_two, peak_ewma or hash(TEMPLATE)", text);
}

std::string to_text(const Balance& balance) {
  for (const auto& [word, kind] : kBalances) {
    if (balance.kind == kind) return std::string(word);
  }
  return "hash(" + balance.key + ")";
}

std::string number_text(double value) {
  std::array<char, 64> digits{};
  const auto [end, error] =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
  if (error != std::errc()) return "0";
  return {digits.data(), end};
}

std::string percent_text(double share) {
  // Rounded to what can be written: 0.07 * 100 is not 7.
  return number_text(std::round(share * 100 * 1e6) / 1e6) + "%";
}

std::string to_text(milliseconds value) {
  const auto count = static_cast<std::uint64_t>(value.count());
  if (count == 0) return "0s";
  for (const Unit& unit : kDurationUnits) {
    if (count % unit.factor == 0) return std::to_string(count / unit.factor) + std::string(unit.suffix);
  }
  return std::to_string(count) + "ms";
}

std::string size_text(std::uint64_t bytes) {
  for (const Unit& unit : {kSizeUnits[0], kSizeUnits[1], kSizeUnits[2]}) {
    if (bytes != 0 && bytes % unit.factor == 0) return std::to_string(bytes / unit.factor) + std::string(unit.suffix);
  }
  return std::to_string(bytes);
}

std::string to_text(const Rate& rate) {
  const std::string_view per = rate.per == 1s ? "/s" : rate.per == 1min ? "/m" : "/h";
  return std::to_string(rate.count) + std::string(per);
}

}  // namespace headgate::config
