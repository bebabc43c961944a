// SPDX-License-Identifier: Apache-2.0
#include "observe/access_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace headgate::observe {
namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr std::size_t kFixedText = 1024;  // names, numbers and punctuation of a line, and blocks that reach beyond it
constexpr std::size_t kWorstEscape = 6;   // \u00XX

/// What a byte asks for within a JSON string.
enum Kind : unsigned char { kPlain, kEscape, kHighBit };

constexpr std::array<Kind, 256> kKinds = [] {
  std::array<Kind, 256> kinds{};
  for (std::size_t i = 0; i < 0x20; ++i) kinds[i] = kEscape;
  kinds['"'] = kinds['\\'] = kEscape;
  for (std::size_t i = 0x80; i < 256; ++i) kinds[i] = kHighBit;
  return kinds;
}();

char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

char* put_number(char* out, std::uint64_t number) {
  return std::to_chars(out, out + 20, number).ptr;
}

/// Milliseconds with up to three decimals.
char* put_milliseconds(char* out, std::chrono::nanoseconds time) {
  const auto microseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0) / 1000);
  out = put_number(out, microseconds / 1000);
  const auto rest = static_cast<unsigned>(microseconds % 1000);
  if (rest == 0) return out;
  out[0] = '.';
  out[1] = static_cast<char>('0' + rest / 100);
  out[2] = static_cast<char>('0' + rest / 10 % 10);
  out[3] = static_cast<char>('0' + rest % 10);
  out += 4;
  while (out[-1] == '0') --out;
  return out;
}

char* put_code_unit(char* out, unsigned char byte) {
  out = put(out, "\\u00");
  *out++ = kHex[byte >> 4];
  *out++ = kHex[byte & 15];
  return out;
}

/// The length of the well-formed UTF-8 sequence that begins at `at` (RFC 3629 section 4); 0: there is none.
std::size_t utf8_sequence(const unsigned char* at, std::size_t left) {
  const auto follows = [&](std::size_t i, unsigned char low = 0x80, unsigned char high = 0xbf) {
    return i < left && at[i] >= low && at[i] <= high;
  };
  const unsigned char lead = at[0];
  if (lead >= 0xc2 && lead <= 0xdf) return follows(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    const unsigned char low = lead == 0xe0 ? 0xa0 : 0x80;
    const unsigned char high = lead == 0xed ? 0x9f : 0xbf;  // no surrogates
    return follows(1, low, high) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    const unsigned char low = lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xf4 ? 0x8f : 0xbf;
    return follows(1, low, high) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

char* put_escaped(char* out, unsigned char byte) {
  switch (byte) {
    case '"':
      return put(out, "\\\"");
    case '\\':
      return put(out, "\\\\");
    case '\n':
      return put(out, "\\n");
    case '\r':
      return put(out, "\\r");
    case '\t':
      return put(out, "\\t");
    default:
      return put_code_unit(out, byte);
  }
}

/// Bytes side by side: the compiler makes of it what the machine has.
using Block [[gnu::vector_size(16)]] = signed char;
using Words [[gnu::vector_size(16)]] = std::uint64_t;

/// Bytes that a JSON string cannot hold as they are. Read with a sign, those with the high bit are below 0x20, too.
struct OddInJson {
  static Block in(Block bytes) { return (Block{} + 0x20 > bytes) | (bytes == '"') | (bytes == '\\'); }
};

/// Those that the combined format escapes.
struct OddInCombined {
  static Block in(Block bytes) { return OddInJson::in(bytes) | (bytes == 0x7f); }
};

bool any(Block bytes) {
  const auto words = reinterpret_cast<Words>(bytes);
  return (words[0] | words[1]) != 0;
}

template <class Unit>
Unit copy_unit(char* to, const char* from) {
  Unit unit;
  std::memcpy(&unit, from, sizeof unit);
  std::memcpy(to, &unit, sizeof unit);
  return unit;
}

/// Copies 1 to 15 bytes, as a beginning and an end that may overlap: all of them, some perhaps twice.
[[gnu::always_inline]] inline Block copy_short(char* to, std::string_view text) {
  const char* const from = text.data();
  const std::size_t size = text.size();
  if (size >= 8) {
    const auto first = copy_unit<std::uint64_t>(to, from);
    const auto last = copy_unit<std::uint64_t>(to + size - 8, from + size - 8);
    return reinterpret_cast<Block>(Words{first, last});
  }
  std::uint64_t word = 0;
  if (size >= 4) {
    const auto first = copy_unit<std::uint32_t>(to, from);
    const auto last = copy_unit<std::uint32_t>(to + size - 4, from + size - 4);
    word = std::uint64_t{last} << 32 | first;
  } else {
    const auto first = copy_unit<unsigned char>(to, from);
    const auto middle = copy_unit<unsigned char>(to + size / 2, from + size / 2);
    const auto last = copy_unit<unsigned char>(to + size - 1, from + size - 1);
    constexpr std::uint64_t kBlanks = 0x2020202020000000;  // never odd
    word = kBlanks | std::uint64_t{last} << 16 | std::uint64_t{middle} << 8 | first;
  }
  return reinterpret_cast<Block>(Words{word, word});
}

/// Copies text that is not empty. False when a byte of it is odd: what was written is void then.
template <class Odd>
bool copy_plain(char* to, std::string_view text) {
  if (text.size() < sizeof(Block)) return !any(Odd::in(copy_short(to, text)));
  // One block after another, of which the last two may overlap.
  const std::size_t last = text.size() - sizeof(Block);
  Block odd{};
  for (std::size_t at = 0; at < last; at += sizeof(Block)) odd |= Odd::in(copy_unit<Block>(to + at, text.data() + at));
  odd |= Odd::in(copy_unit<Block>(to + last, text.data() + last));
  return !any(odd);
}

/// Out of line: nearly all strings are plain.
[[gnu::noinline, gnu::cold]] char* put_with_care(char* out, std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    if (kKinds[bytes[at]] == kPlain) {
      *out++ = text[at++];
    } else if (kKinds[bytes[at]] == kEscape) {
      out = put_escaped(out, bytes[at++]);
    } else if (const std::size_t length = utf8_sequence(bytes + at, text.size() - at); length > 0) {
      out = put(out, text.substr(at, length));
      at += length;
    } else {
      out = put_code_unit(out, bytes[at++]);
    }
  }
  return out;
}

char* put_json_string(char* out, std::string_view text) {
  if (text.empty()) return put(out, R"("")");
  text = text.substr(0, kMaxLoggedString);
  *out++ = '"';
  out = copy_plain<OddInJson>(out, text) ? out + text.size() : put_with_care(out, text);
  *out++ = '"';
  return out;
}

/// `name` brings its own punctuation: ,"host":
char* put_field(char* out, std::string_view name, std::string_view value) {
  return put_json_string(put(out, name), value);
}

[[gnu::noinline, gnu::cold]] char* put_combined_with_care(char* out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\') {
      out = put(out, "\\x");
      *out++ = kHex[byte >> 4];
      *out++ = kHex[byte & 15];
    } else {
      *out++ = c;
    }
  }
  return out;
}

char* put_combined(char* out, std::string_view text) {
  if (text.empty()) return put(out, "-");
  text = text.substr(0, kMaxLoggedString);
  return copy_plain<OddInCombined>(out, text) ? out + text.size() : put_combined_with_care(out, text);
}

void put_two(char* out, unsigned number) {
  out[0] = static_cast<char>('0' + number / 10 % 10);
  out[1] = static_cast<char>('0' + number % 10);
}

/// 499: the client left before there was an answer; a number that log tools know.
std::uint64_t logged_status(const AccessRecord& record) {
  return record.status == 0 ? 499 : static_cast<std::uint64_t>(record.status);
}

}  // namespace

void LineTime::set_second(std::chrono::sys_seconds second) {
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  second_ = second;
  const auto day = std::chrono::floor<std::chrono::days>(second);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(second - day);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  const auto month = static_cast<unsigned>(date.month());
  std::memcpy(rfc3339_, "YYYY-MM-DDThh:mm:ss.mmmZ", sizeof rfc3339_);
  std::memcpy(combined_, "DD/Mon/YYYY:hh:mm:ss +0000", sizeof combined_);
  put_two(rfc3339_, year / 100);
  put_two(rfc3339_ + 2, year);
  put_two(rfc3339_ + 5, month);
  put_two(rfc3339_ + 8, static_cast<unsigned>(date.day()));
  put_two(rfc3339_ + 11, static_cast<unsigned>(clock.hours().count()));
  put_two(rfc3339_ + 14, static_cast<unsigned>(clock.minutes().count()));
  put_two(rfc3339_ + 17, static_cast<unsigned>(clock.seconds().count()));
  std::memcpy(combined_, rfc3339_ + 8, 2);
  std::memcpy(combined_ + 3, kMonths.data() + std::size_t{3} * (month - 1), 3);
  std::memcpy(combined_ + 7, rfc3339_, 4);
  std::memcpy(combined_ + 12, rfc3339_ + 11, 8);
}

void LineTime::set(std::chrono::system_clock::time_point now) {
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (second != second_) set_second(second);
  const auto ms = static_cast<unsigned>(std::chrono::duration_cast<std::chrono::milliseconds>(now - second).count());
  rfc3339_[20] = static_cast<char>('0' + ms / 100);
  put_two(rfc3339_ + 21, ms % 100);
}

std::size_t line_bound(const AccessRecord& r) {
  const std::size_t ours = r.client.size() + r.protocol.size() + r.site.size() + r.route.size() + r.upstream.size() +
                           r.pool.size() + r.server.size() + r.tls_version.size() + r.user.size() +
                           r.rate_limited.size() + r.encoding.size() + r.error.size();
  // Only these come from outside and may be long.
  std::size_t theirs =
      r.request_id.size() + r.method.size() + r.host.size() + r.uri.size() + r.user_agent.size() + r.referer.size();
  if (theirs > kMaxLoggedString) [[unlikely]] {
    theirs = std::min(r.request_id.size(), kMaxLoggedString) + std::min(r.method.size(), kMaxLoggedString) +
             std::min(r.host.size(), kMaxLoggedString) + std::min(r.uri.size(), kMaxLoggedString) +
             std::min(r.user_agent.size(), kMaxLoggedString) + std::min(r.referer.size(), kMaxLoggedString);
  }
  return (ours + theirs) * kWorstEscape + kFixedText;
}

char* write_json_line(char* out, const AccessRecord& r, const LineTime& time) {
  out = put(out, R"({"time":")");
  out = put(out, time.rfc3339());
  out = put_field(out, R"(","request_id":)", r.request_id);
  out = put_field(out, R"(,"client":)", r.client);
  out = put_field(out, R"(,"method":)", r.method);
  out = put_field(out, R"(,"host":)", r.host);
  out = put_field(out, R"(,"uri":)", r.uri);
  out = put_field(out, R"(,"protocol":)", r.protocol);
  out = put_number(put(out, R"(,"status":)"), logged_status(r));
  out = put_number(put(out, R"(,"bytes_in":)"), r.bytes_in);
  out = put_number(put(out, R"(,"bytes_out":)"), r.bytes_out);
  out = put_milliseconds(put(out, R"(,"duration_ms":)"), r.duration);
  out = put_field(out, R"(,"site":)", r.site);
  out = put_field(out, R"(,"route":)", r.route);
  out = put_field(out, R"(,"upstream":)", r.upstream);
  out = put_field(out, R"(,"pool":)", r.pool);
  out = put_field(out, R"(,"server":)", r.server);
  out = put(out, R"(,"upstream_ms":)");
  out = r.upstream_time.count() < 0 ? put(out, "null") : put_milliseconds(out, r.upstream_time);
  out = put_number(put(out, R"(,"attempts":)"), r.attempts);
  out = put_field(out, R"(,"tls_version":)", r.tls_version);
  out = put_field(out, R"(,"user_agent":)", r.user_agent);
  out = put_field(out, R"(,"referer":)", r.referer);
  out = put_field(out, R"(,"user":)", r.user);
  out = put_field(out, R"(,"rate_limited":)", r.rate_limited);
  if (!r.encoding.empty()) out = put_field(out, R"(,"encoding":)", r.encoding);
  if (r.shielded) out = put(out, R"(,"shielded":true)");
  if (r.mirrored) out = put(out, R"(,"mirrored":true)");
  out = put_field(out, R"(,"error":)", r.error);
  return put(out, "}\n");
}

char* write_combined_line(char* out, const AccessRecord& r, const LineTime& time) {
  out = put_combined(out, r.client);
  out = put_combined(put(out, " - "), r.user);
  out = put(put(out, " ["), time.combined());
  out = put_combined(put(out, "] \""), r.method);
  out = put_combined(put(out, " "), r.uri);
  out = put_combined(put(out, " "), r.protocol);
  out = put_number(put(out, "\" "), logged_status(r));
  out = put_number(put(out, " "), r.bytes_out);
  out = put_combined(put(out, " \""), r.referer);
  out = put_combined(put(out, "\" \""), r.user_agent);
  return put(out, "\"\n");
}

}  // namespace headgate::observe
