// SPDX-License-Identifier: Apache-2.0
// Header fields (RFC 9110 section 5): an ordered list of name and value, as they stood on the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <boost/container/small_vector.hpp>

namespace headgate::http {

/// Names that the program acts upon, so that asking for one is a comparison of a byte. kOther for all the rest.
enum class FieldId : std::uint8_t {
  kOther,
  kAccept,
  kAcceptEncoding,
  kAcceptRanges,
  kAccessControlAllowOrigin,
  kAge,
  kAllow,
  kAuthorization,
  kCacheControl,
  kConnection,
  kContentEncoding,
  kContentLength,
  kContentRange,
  kContentType,
  kCookie,
  kDate,
  kETag,
  kExpect,
  kExpires,
  kForwarded,
  kHost,
  kHttp2Settings,
  kIfMatch,
  kIfModifiedSince,
  kIfNoneMatch,
  kIfRange,
  kIfUnmodifiedSince,
  kKeepAlive,
  kLastModified,
  kLocation,
  kOrigin,
  kProxyAuthenticate,
  kProxyAuthorization,
  kProxyConnection,
  kRange,
  kReferer,
  kRetryAfter,
  kSecFetchDest,
  kSecFetchMode,
  kServer,
  kSetCookie,
  kTe,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kUserAgent,
  kVary,
  kVia,
  kWwwAuthenticate,
  kXAccelBuffering,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedProto,
  kXRealIp,
  kXRequestId,
};

/// The id of a name in any case.
FieldId field_id(std::string_view name);

/// The name in lower case; empty for kOther. Lives as long as the program.
std::string_view field_name(FieldId id);

/// False for fields that frame or route a message: they are no trailers (RFC 9110 section 6.5.1).
bool may_be_trailer(FieldId id);

/// Case-insensitive comparison of ASCII.
bool iequals(std::string_view a, std::string_view b);

/// True when a comma-separated list (RFC 9110 section 5.6.1) holds the token, in any case; parameters are ignored.
bool list_has(std::string_view list, std::string_view token);

/// Without spaces and tabs at both ends.
std::string_view trim(std::string_view text);

/// RFC 9110 section 5.6.2: one or more tchar.
bool is_token(std::string_view text);

/// True for a value without CR, LF, NUL or other control characters but HTAB (RFC 9110 section 5.5).
bool is_field_value(std::string_view text);

struct Field {
  FieldId id = FieldId::kOther;
  std::string_view name;
  std::string_view value;
};

/// Views only: whoever adds a field keeps its bytes alive (the read buffer of a head, or the exchange's arena).
class Fields {
 public:
  using List = boost::container::small_vector<Field, 20>;

  void add(std::string_view name, std::string_view value) { add(field_id(name), name, value); }
  void add(FieldId id, std::string_view name, std::string_view value) {
    repeated_ |= ids_ & bit_of(id);
    ids_ |= bit_of(id);
    list_.emplace_back(id, name, value);
  }

  /// Adds `count` fields at once: fill(i, field) says what the i-th is.
  template <typename Fill>
  void append(std::size_t count, Fill fill) {
    const std::size_t before = list_.size();
    list_.resize(before + count);
    Field* const added = list_.data() + before;
    std::uint64_t ids = ids_;
    std::uint64_t repeated = repeated_;
    for (std::size_t i = 0; i < count; ++i) {
      fill(i, added[i]);
      repeated |= ids & bit_of(added[i].id);
      ids |= bit_of(added[i].id);
    }
    ids_ = ids;
    repeated_ = repeated;
  }

  /// Replaces the first field of that name and drops the others; adds it when there is none.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void remove(FieldId id);

  /// The first field's value. `id` must not be kOther.
  std::optional<std::string_view> get(FieldId id) const { return may_have(id) ? find(id) : std::nullopt; }
  std::optional<std::string_view> get(std::string_view name) const;
  bool has(FieldId id) const { return may_have(id) && find(id).has_value(); }
  std::size_t count(FieldId id) const;

  /// True when any field of that id, read as a comma-separated list, holds the token.
  bool list_contains(FieldId id, std::string_view token) const { return may_have(id) && search_lists(id, token); }

  void clear() {
    list_.clear();
    ids_ = repeated_ = 0;
  }
  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }
  auto begin() { return list_.begin(); }
  auto end() { return list_.end(); }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  /// To take fields out, or to change what they say; a name that is new goes through add() or set().
  List& list() { return list_; }

 private:
  /// One bit for an id, so that most questions are answered without a look at the list. Bits of fields that were
  /// removed stay, and two ids may share one: a bit that is not set says no, one that is set says perhaps.
  static constexpr std::uint64_t bit_of(FieldId id) { return std::uint64_t{1} << (static_cast<unsigned>(id) % 64); }
  bool may_have(FieldId id) const { return (ids_ & bit_of(id)) != 0; }
  std::optional<std::string_view> find(FieldId id) const;
  bool search_lists(FieldId id, std::string_view token) const;

  List list_;
  std::uint64_t ids_ = 0;
  std::uint64_t repeated_ = 0;  // likewise: of ids that were added more than once
};

}  // namespace headgate::http
