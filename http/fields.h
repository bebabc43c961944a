// SPDX-License-Identifier: Apache-2.0
// Header fields (RFC 9110 section 5): an ordered list of name and value, as they stood on the wire.
#pragma once

#include <boost/container/small_vector.hpp>

#include <cstdint>
#include <optional>
#include <string_view>

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

  void add(std::string_view name, std::string_view value) { list_.push_back({field_id(name), name, value}); }
  void add(FieldId id, std::string_view name, std::string_view value) { list_.push_back({id, name, value}); }

  /// Replaces the first field of that name and drops the others; adds it when there is none.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void remove(FieldId id);

  /// The first field's value. `id` must not be kOther.
  std::optional<std::string_view> get(FieldId id) const;
  std::optional<std::string_view> get(std::string_view name) const;
  bool has(FieldId id) const { return get(id).has_value(); }
  std::size_t count(FieldId id) const;

  /// True when any field of that id, read as a comma-separated list, holds the token.
  bool list_contains(FieldId id, std::string_view token) const;

  void clear() { list_.clear(); }
  bool empty() const { return list_.empty(); }
  std::size_t size() const { return list_.size(); }
  auto begin() { return list_.begin(); }
  auto end() { return list_.end(); }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }
  List& list() { return list_; }

 private:
  List list_;
};

}  // namespace headgate::http
