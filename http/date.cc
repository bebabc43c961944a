// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <algorithm>
#include <chrono>

namespace headgate::http {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t kFirst = -62'167'219'200;  // 0000-01-01T00:00:00Z
constexpr std::int64_t kLast = 253'402'300'799;   // 9999-12-31T23:59:59Z

std::chrono::year_month_day calendar_day(std::int64_t unix_seconds) {
  const std::chrono::sys_seconds moment{std::chrono::seconds{unix_seconds}};
  return std::chrono::year_month_day{std::chrono::floor<std::chrono::days>(moment)};
}

/// Takes the text from the front. Once something did not fit, everything after it fails as well.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool complete() const { return good_ && rest_.empty(); }

  void literal(std::string_view expected) {
    if (!good_ || !rest_.starts_with(expected)) {
      good_ = false;
      return;
    }
    rest_.remove_prefix(expected.size());
  }

  template <std::size_t N>
  unsigned name(const std::array<std::string_view, N>& names) {
    for (unsigned i = 0; good_ && i < N; ++i) {
      if (!rest_.starts_with(names[i])) continue;
      rest_.remove_prefix(names[i].size());
      return i;
    }
    good_ = false;
    return 0;
  }

  /// Exactly `digits` digits; asctime pads the day of the month with a space instead of a zero.
  int number(std::size_t digits, bool space_padded = false) {
    if (!good_ || rest_.size() < digits) {
      good_ = false;
      return 0;
    }
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char c = rest_[i];
      const bool padding = space_padded && i == 0 && c == ' ';
      if (!padding && (c < '0' || c > '9')) {
        good_ = false;
        return 0;
      }
      value = value * 10 + (padding ? 0 : c - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

struct Moment {
  int year = 0;
  unsigned month = 0;  // from 0
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

void read_time(Reader& reader, Moment& moment) {
  moment.hour = reader.number(2);
  reader.literal(":");
  moment.minute = reader.number(2);
  reader.literal(":");
  moment.second = reader.number(2);
}

std::optional<std::int64_t> to_unix(const Moment& moment) {
  using namespace std::chrono;
  const year_month_day day{year{moment.year}, month{moment.month + 1},
                           std::chrono::day(static_cast<unsigned>(moment.day))};
  // 60 is a leap second, which Unix time does not have: the second after :59.
  if (!day.ok() || moment.hour > 23 || moment.minute > 59 || moment.second > 60) return std::nullopt;
  const auto midnight = duration_cast<seconds>(sys_days{day}.time_since_epoch()).count();
  return midnight + moment.hour * 3600 + moment.minute * 60 + moment.second;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<std::int64_t> parse_fixdate(std::string_view text) {
  Reader reader(text);
  Moment moment;
  reader.name(kDays);
  reader.literal(", ");
  moment.day = reader.number(2);
  reader.literal(" ");
  moment.month = reader.name(kMonths);
  reader.literal(" ");
  moment.year = reader.number(4);
  reader.literal(" ");
  read_time(reader, moment);
  reader.literal(" GMT");
  if (!reader.complete()) return std::nullopt;
  return to_unix(moment);
}

/// "Sunday, 06-Nov-94 08:49:37 GMT"
std::optional<std::int64_t> parse_rfc850(std::string_view text, std::int64_t now) {
  Reader reader(text);
  Moment moment;
  reader.name(kLongDays);
  reader.literal(", ");
  moment.day = reader.number(2);
  reader.literal("-");
  moment.month = reader.name(kMonths);
  reader.literal("-");
  const int short_year = reader.number(2);
  reader.literal(" ");
  read_time(reader, moment);
  reader.literal(" GMT");
  if (!reader.complete()) return std::nullopt;
  const int this_year = static_cast<int>(calendar_day(std::clamp(now, kFirst, kLast)).year());
  moment.year = this_year - this_year % 100 + short_year;
  if (moment.year > this_year + 50) moment.year -= 100;
  return to_unix(moment);
}

/// "Sun Nov  6 08:49:37 1994"
std::optional<std::int64_t> parse_asctime(std::string_view text) {
  Reader reader(text);
  Moment moment;
  reader.name(kDays);
  reader.literal(" ");
  moment.month = reader.name(kMonths);
  reader.literal(" ");
  moment.day = reader.number(2, true);
  reader.literal(" ");
  read_time(reader, moment);
  reader.literal(" ");
  moment.year = reader.number(4);
  if (!reader.complete()) return std::nullopt;
  return to_unix(moment);
}

char* put(char* at, std::string_view text) {
  return std::copy(text.begin(), text.end(), at);
}

char* put_two(char* at, std::int64_t value) {
  *at++ = static_cast<char>('0' + value / 10 % 10);
  *at++ = static_cast<char>('0' + value % 10);
  return at;
}

}  // namespace

HttpDate::HttpDate(std::int64_t unix_seconds) {
  const std::int64_t seconds = std::clamp(unix_seconds, kFirst, kLast);
  const auto day = calendar_day(seconds);
  const std::chrono::weekday weekday{std::chrono::sys_days{day}};
  const std::int64_t of_day = ((seconds % 86'400) + 86'400) % 86'400;
  const int year = static_cast<int>(day.year());

  char* at = text_.data();
  at = put(at, kDays[weekday.c_encoding()]);
  at = put(at, ", ");
  at = put_two(at, static_cast<unsigned>(day.day()));
  at = put(at, " ");
  at = put(at, kMonths[static_cast<unsigned>(day.month()) - 1]);
  at = put(at, " ");
  at = put_two(at, year / 100);
  at = put_two(at, year % 100);
  at = put(at, " ");
  at = put_two(at, of_day / 3600);
  at = put(at, ":");
  at = put_two(at, of_day / 60 % 60);
  at = put(at, ":");
  at = put_two(at, of_day % 60);
  put(at, " GMT");
}

std::optional<std::int64_t> parse_http_date(std::string_view text, std::int64_t now) {
  if (text.size() < 4) return std::nullopt;
  if (text[3] == ',') return parse_fixdate(text);
  if (text[3] == ' ') return parse_asctime(text);
  return parse_rfc850(text, now);
}

}  // namespace headgate::http
