// SPDX-License-Identifier: Apache-2.0
#include "http/fields.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "http/byte_scan.h"

namespace headgate::http {
namespace {

struct Known {
  std::string_view name;  // lower case
  FieldId id;
};

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

constexpr std::size_t kLongest = 31;

/// A known name made ready for comparison: `fold` has the bit in which upper and lower case differ, where `text` has a
/// letter, so that (word | fold) == text holds for that name in any case and for no other bytes.
struct alignas(64) Entry {
  std::array<char, kLongest> text{};
  std::uint8_t size = 0;
  std::array<char, kLongest> fold{};
  FieldId id = FieldId::kOther;
};
static_assert(sizeof(Entry) == 64, "one line of a cache");

/// Of a name of two characters or more: its first two, its last two and its size, in one case.
constexpr std::uint32_t hash_of(std::string_view name, std::uint32_t factor) {
  const auto pair = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(name[i]) | static_cast<unsigned char>(name[i + 1])
                                                                                << 8);
  };
  const std::uint32_t key =
      ((pair(0) | pair(name.size() - 2) << 16) | 0x20202020) + (static_cast<std::uint32_t>(name.size()) << 8);
  return key * factor >> 24;
}

constexpr bool is_perfect(std::uint32_t factor) {
  std::array<bool, 256> taken{};
  for (const Known& known : kKnown) {
    bool& slot = taken[hash_of(known.name, factor)];
    if (slot) return false;
    slot = true;
  }
  return true;
}

/// The first factor of a random-looking row that gives every known name a slot of its own.
constexpr std::uint32_t kFactor = [] {
  std::uint32_t factor = 0x9e3779b1;
  while (!is_perfect(factor)) factor = factor * 0x2c9277b5 + 2;
  return factor;
}();

/// Of each known name its entry, from 1.
constexpr auto kEntries = [] {
  std::array<Entry, std::size(kKnown) + 1> entries{};
  for (std::size_t i = 0; i < std::size(kKnown); ++i) {
    Entry& entry = entries[i + 1];
    entry.size = static_cast<std::uint8_t>(kKnown[i].name.size());
    entry.id = kKnown[i].id;
    for (std::size_t j = 0; j < entry.size; ++j) {
      entry.text[j] = kKnown[i].name[j];
      entry.fold[j] = entry.text[j] >= 'a' && entry.text[j] <= 'z' ? 0x20 : 0;
    }
  }
  return entries;
}();

/// Of each hash the entry that has it; 0 for none.
constexpr auto kSlots = [] {
  std::array<std::uint8_t, 256> slots{};
  for (std::size_t i = 0; i < std::size(kKnown); ++i) {
    slots[hash_of(kKnown[i].name, kFactor)] = static_cast<std::uint8_t>(i + 1);
  }
  return slots;
}();

template <typename Word>
Word word_at(const char* text) {
  Word word;
  std::memcpy(&word, text, sizeof word);
  return word;
}

template <typename Word>
bool same_word(const Entry& entry, const char* name, std::size_t at) {
  return (word_at<Word>(name + at) | word_at<Word>(entry.fold.data() + at)) == word_at<Word>(entry.text.data() + at);
}

/// Whole words, and one that ends where the name ends and may overlap the one before.
template <typename Word>
bool same_words(const Entry& entry, const char* name) {
  for (std::size_t at = 0; at + sizeof(Word) < entry.size; at += sizeof(Word)) {
    if (!same_word<Word>(entry, name, at)) return false;
  }
  return same_word<Word>(entry, name, entry.size - sizeof(Word));
}

constexpr auto kNames = [] {
  std::array<std::string_view, std::size(kKnown) + 1> names{};
  for (const auto& known : kKnown) names[static_cast<std::size_t>(known.id)] = known.name;
  return names;
}();

constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

/// Eight bytes at once; only ASCII letters change.
constexpr std::uint64_t lower(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  const std::uint64_t low = word & (kOnes * 0x7f);
  const std::uint64_t from_a = low + kOnes * (0x80 - 'A');
  const std::uint64_t after_z = low + kOnes * (0x80 - 'Z' - 1);
  const std::uint64_t upper = (from_a & ~after_z & ~word & (kOnes * 0x80)) >> 2;
  return word | upper;
}

}  // namespace

FieldId field_id(std::string_view name) {
  if (name.size() < 2 || name.size() > kLongest) return FieldId::kOther;
  const Entry& entry = kEntries[kSlots[hash_of(name, kFactor)]];
  if (entry.size != name.size()) return FieldId::kOther;
  const bool same = entry.size >= 8   ? same_words<std::uint64_t>(entry, name.data())
                    : entry.size >= 4 ? same_words<std::uint32_t>(entry, name.data())
                                      : same_words<std::uint8_t>(entry, name.data());
  return same ? entry.id : FieldId::kOther;
}

std::string_view field_name(FieldId id) {
  return kNames[static_cast<std::size_t>(id)];
}

bool may_be_trailer(FieldId id) {
  switch (id) {
    case FieldId::kAuthorization:
    case FieldId::kCacheControl:
    case FieldId::kConnection:
    case FieldId::kContentEncoding:
    case FieldId::kContentLength:
    case FieldId::kContentRange:
    case FieldId::kContentType:
    case FieldId::kHost:
    case FieldId::kKeepAlive:
    case FieldId::kSetCookie:
    case FieldId::kTe:
    case FieldId::kTrailer:
    case FieldId::kTransferEncoding:
    case FieldId::kUpgrade:
      return false;
    default:
      return true;
  }
}

bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto same = [&](std::size_t i) {
    const auto x = word_at<std::uint64_t>(a.data() + i);
    const auto y = word_at<std::uint64_t>(b.data() + i);
    return x == y || lower(x) == lower(y);
  };
  if (a.size() >= 8) {
    for (std::size_t i = 0; i + 8 < a.size(); i += 8) {
      if (!same(i)) return false;
    }
    return same(a.size() - 8);
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

bool list_has(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    const auto item = trim(list.substr(0, comma));
    if (iequals(item.substr(0, token.size()), token)) {
      const auto rest = trim(item.substr(token.size()));
      if (rest.empty() || rest.front() == ';') return true;
    }
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

bool is_field_value(std::string_view text) {
  return find_first<ValueEnd>(text.data(), text.data(), text.data() + text.size()) == text.data() + text.size();
}

std::optional<std::string_view> Fields::find(FieldId id) const {
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
  if ((repeated_ & bit_of(id)) == 0) return has(id) ? 1 : 0;
  return static_cast<std::size_t>(
      std::count_if(list_.begin(), list_.end(), [id](const Field& field) { return field.id == id; }));
}

bool Fields::search_lists(FieldId id, std::string_view token) const {
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
  if (!may_have(id)) return;
  list_.erase(std::remove_if(list_.begin(), list_.end(), [id](const Field& field) { return field.id == id; }),
              list_.end());
}

}  // namespace headgate::http
