// SPDX-License-Identifier: Apache-2.0
#include "http/fields.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace headgate::http {
namespace {

struct Known {
  std::string_view name;  // lower case
  FieldId id;
};

// Ordered by length, then by name.
constexpr Known kKnown[] = {
    {"te", FieldId::kTe},
    {"age", FieldId::kAge},
    {"via", FieldId::kVia},
    {"date", FieldId::kDate},
    {"etag", FieldId::kETag},
    {"host", FieldId::kHost},
    {"vary", FieldId::kVary},
    {"allow", FieldId::kAllow},
    {"range", FieldId::kRange},
    {"accept", FieldId::kAccept},
    {"cookie", FieldId::kCookie},
    {"expect", FieldId::kExpect},
    {"origin", FieldId::kOrigin},
    {"server", FieldId::kServer},
    {"expires", FieldId::kExpires},
    {"referer", FieldId::kReferer},
    {"trailer", FieldId::kTrailer},
    {"upgrade", FieldId::kUpgrade},
    {"if-match", FieldId::kIfMatch},
    {"if-range", FieldId::kIfRange},
    {"location", FieldId::kLocation},
    {"forwarded", FieldId::kForwarded},
    {"x-real-ip", FieldId::kXRealIp},
    {"connection", FieldId::kConnection},
    {"keep-alive", FieldId::kKeepAlive},
    {"set-cookie", FieldId::kSetCookie},
    {"user-agent", FieldId::kUserAgent},
    {"retry-after", FieldId::kRetryAfter},
    {"content-type", FieldId::kContentType},
    {"x-request-id", FieldId::kXRequestId},
    {"accept-ranges", FieldId::kAcceptRanges},
    {"authorization", FieldId::kAuthorization},
    {"cache-control", FieldId::kCacheControl},
    {"content-range", FieldId::kContentRange},
    {"if-none-match", FieldId::kIfNoneMatch},
    {"last-modified", FieldId::kLastModified},
    {"content-length", FieldId::kContentLength},
    {"http2-settings", FieldId::kHttp2Settings},
    {"sec-fetch-dest", FieldId::kSecFetchDest},
    {"sec-fetch-mode", FieldId::kSecFetchMode},
    {"accept-encoding", FieldId::kAcceptEncoding},
    {"x-forwarded-for", FieldId::kXForwardedFor},
    {"content-encoding", FieldId::kContentEncoding},
    {"proxy-connection", FieldId::kProxyConnection},
    {"www-authenticate", FieldId::kWwwAuthenticate},
    {"x-forwarded-host", FieldId::kXForwardedHost},
    {"if-modified-since", FieldId::kIfModifiedSince},
    {"transfer-encoding", FieldId::kTransferEncoding},
    {"x-accel-buffering", FieldId::kXAccelBuffering},
    {"x-forwarded-proto", FieldId::kXForwardedProto},
    {"proxy-authenticate", FieldId::kProxyAuthenticate},
    {"if-unmodified-since", FieldId::kIfUnmodifiedSince},
    {"proxy-authorization", FieldId::kProxyAuthorization},
    {"access-control-allow-origin", FieldId::kAccessControlAllowOrigin},
};

constexpr std::size_t kLongest = 27;

/// kStart[n] is the first entry of length n or more.
constexpr auto kStart = [] {
  std::array<std::uint8_t, kLongest + 2> start{};
  for (std::size_t length = 0; length < start.size(); ++length) {
    std::uint8_t i = 0;
    while (i < std::size(kKnown) && kKnown[i].name.size() < length) ++i;
    start[length] = i;
  }
  return start;
}();

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// Eight bytes at once; only ASCII letters change.
constexpr std::uint64_t lower(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t low = word & (kOnes * 0x7f);
  const std::uint64_t from_a = low + kOnes * (0x80 - 'A');
  const std::uint64_t after_z = low + kOnes * (0x80 - 'Z' - 1);
  const std::uint64_t upper = (from_a & ~after_z & ~word & (kOnes * 0x80)) >> 2;
  return word | upper;
}

/// tchar of RFC 9110 section 5.6.2.
constexpr auto kTokenChar = [] {
  std::array<bool, 256> table{};
  for (char c = 'a'; c <= 'z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = 'A'; c <= 'Z'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c = '0'; c <= '9'; ++c) table[static_cast<unsigned char>(c)] = true;
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

}  // namespace

FieldId field_id(std::string_view name) {
  if (name.empty() || name.size() > kLongest) return FieldId::kOther;
  const char first = lower(name.front());
  const char last = lower(name.back());
  for (std::size_t i = kStart[name.size()]; i < kStart[name.size() + 1]; ++i) {
    const auto& known = kKnown[i];
    if (known.name.front() == first && known.name.back() == last && iequals(known.name, name)) return known.id;
  }
  return FieldId::kOther;
}

bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  std::size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    std::uint64_t x;
    std::uint64_t y;
    std::memcpy(&x, a.data() + i, sizeof x);
    std::memcpy(&y, b.data() + i, sizeof y);
    if (x != y && lower(x) != lower(y)) return false;
  }
  for (; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool list_has(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    const auto item = list.substr(0, comma);
    if (iequals(trim(item.substr(0, item.find(';'))), token)) return true;
    list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  }
  return false;
}

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return kTokenChar[static_cast<unsigned char>(c)]; });
}

bool is_field_value(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
}

std::optional<std::string_view> Fields::get(FieldId id) const {
  for (const auto& field : list_) {
    if (field.id == id) return field.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> Fields::get(std::string_view name) const {
  const FieldId id = field_id(name);
  for (const auto& field : list_) {
    if (field.id == id && (id != FieldId::kOther || iequals(field.name, name))) return field.value;
  }
  return std::nullopt;
}

std::size_t Fields::count(FieldId id) const {
  return static_cast<std::size_t>(
      std::count_if(list_.begin(), list_.end(), [id](const Field& field) { return field.id == id; }));
}

bool Fields::list_contains(FieldId id, std::string_view token) const {
  return std::any_of(list_.begin(), list_.end(),
                     [&](const Field& field) { return field.id == id && list_has(field.value, token); });
}

void Fields::set(std::string_view name, std::string_view value) {
  const FieldId id = field_id(name);
  const auto same = [&](const Field& field) {
    return field.id == id && (id != FieldId::kOther || iequals(field.name, name));
  };
  const auto first = std::find_if(list_.begin(), list_.end(), same);
  if (first == list_.end()) {
    add(id, name, value);
    return;
  }
  *first = {id, name, value};
  list_.erase(std::remove_if(first + 1, list_.end(), same), list_.end());
}

void Fields::remove(std::string_view name) {
  const FieldId id = field_id(name);
  if (id != FieldId::kOther) return remove(id);
  list_.erase(std::remove_if(list_.begin(), list_.end(),
                             [&](const Field& field) { return field.id == id && iequals(field.name, name); }),
              list_.end());
}

void Fields::remove(FieldId id) {
  list_.erase(std::remove_if(list_.begin(), list_.end(), [id](const Field& field) { return field.id == id; }),
              list_.end());
}

}  // namespace headgate::http
