// SPDX-License-Identifier: Apache-2.0
#include "proxy/grpc.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace headgate::proxy {
namespace {

constexpr std::size_t kMaxDigits = 8;  // of a grpc-timeout

}  // namespace

bool is_grpc(const http::Fields& fields) {
  constexpr std::string_view kType = "application/grpc";
  const auto type = fields.get(http::FieldId::kContentType);
  if (!type || !http::iequals(type->substr(0, kType.size()), kType)) return false;
  return type->size() == kType.size() || (*type)[kType.size()] == '+' || (*type)[kType.size()] == ';';
}

std::optional<Duration> parse_grpc_timeout(std::string_view text) {
  constexpr std::chrono::hours kLongest{24 * 365};
  if (text.size() < 2 || text.size() > kMaxDigits + 1) return std::nullopt;
  std::int64_t number = 0;
  const char* const unit = text.data() + text.size() - 1;
  const auto parsed = std::from_chars(text.data(), unit, number);
  if (parsed.ec != std::errc() || parsed.ptr != unit || number < 0) return std::nullopt;
  const auto within = [&](auto period) -> std::optional<Duration> {
    if (period > kLongest) return std::nullopt;
    return std::chrono::duration_cast<Duration>(period);
  };
  switch (*unit) {
    case 'H':
      return within(std::chrono::hours(number));
    case 'M':
      return within(std::chrono::minutes(number));
    case 'S':
      return within(std::chrono::seconds(number));
    case 'm':
      return within(std::chrono::milliseconds(number));
    case 'u':
      return within(std::chrono::microseconds(number));
    case 'n':
      return within(std::chrono::nanoseconds(number));
    default:
      return std::nullopt;
  }
}

std::string_view grpc_timeout(Duration left, Arena& arena) {
  constexpr std::int64_t kMost = 99'999'999;
  struct Unit {
    std::int64_t nanoseconds;
    char letter;
  };
  constexpr std::array<Unit, 3> kUnits = {{{1, 'n'}, {1'000, 'u'}, {1'000'000, 'm'}}};
  const std::int64_t whole =
      std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::nanoseconds>(left).count());
  Unit unit{1'000'000'000, 'S'};
  for (const auto& finer : kUnits) {
    if (whole / finer.nanoseconds > kMost) continue;
    unit = finer;
    break;
  }
  char* const begin = arena.allocate(kMaxDigits + 1);
  char* const end = std::to_chars(begin, begin + kMaxDigits, std::min(kMost, whole / unit.nanoseconds)).ptr;
  *end = unit.letter;
  return {begin, static_cast<std::size_t>(end - begin) + 1};
}

std::string_view grpc_status(int http_status) {
  switch (http_status) {
    case 408:
    case 504:
      return "4";  // DEADLINE_EXCEEDED
    case 403:
      return "7";  // PERMISSION_DENIED
    case 413:
    case 414:
    case 429:
    case 431:
      return "8";  // RESOURCE_EXHAUSTED
    case 404:
    case 421:
    case 501:
      return "12";  // UNIMPLEMENTED
    case 400:
    case 500:
      return "13";  // INTERNAL
    case 502:
    case 503:
      return "14";  // UNAVAILABLE
    case 401:
      return "16";  // UNAUTHENTICATED
    default:
      return "2";  // UNKNOWN
  }
}

int status_of_failed_call(std::string_view grpc_status) {
  if (grpc_status == "2" || grpc_status == "13" || grpc_status == "15") return 500;
  if (grpc_status == "14") return 503;
  return grpc_status == "4" ? 504 : 0;
}

std::string_view grpc_message(std::string_view text, Arena& arena) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  char* const begin = arena.allocate(3 * text.size() + 1);
  char* out = begin;
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      *out++ = c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    *out++ = '%';
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 15];
  }
  return {begin, static_cast<std::size_t>(out - begin)};
}

}  // namespace headgate::proxy
