// SPDX-License-Identifier: Apache-2.0
// The heads of requests and responses as the rest of the program sees them, whatever protocol carried them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "http/fields.h"

namespace headgate::http {

enum class Method : std::uint8_t { kGet, kHead, kPost, kPut, kDelete, kConnect, kOptions, kTrace, kPatch, kOther };

/// Methods are case-sensitive (RFC 9110 section 9.1).
Method method_of(std::string_view name);
/// RFC 9110 section 9.2.2: the same request twice has the effect of once. False for kOther.
bool is_idempotent(Method method);
/// RFC 9110 section 9.2.1. False for kOther.
bool is_safe(Method method);

enum class Version : std::uint8_t { kHttp10, kHttp11, kHttp2 };
std::string_view to_string(Version version);  ///< "HTTP/1.1", "HTTP/2.0"

/// How a message's body ends: RFC 9112 section 6.
enum class BodyKind : std::uint8_t { kNone, kLength, kChunked, kUntilClose };

/// All views point into the session's buffer or the exchange's arena and live as long as the Exchange.
struct RequestHead {
  Method method = Method::kGet;
  std::string_view method_name;
  std::string_view target;     ///< origin form as sent: path and query ("*" for OPTIONS *): $request_uri
  std::string_view path;       ///< target without its query, still encoded
  std::string_view query;      ///< without the question mark
  std::string_view authority;  ///< Host or :authority, checked: name[:port]
  Version version = Version::kHttp11;
  Fields fields;
  BodyKind body = BodyKind::kNone;
  std::uint64_t content_length = 0;  ///< when body is kLength
  bool takes_trailers = false;       ///< TE: trailers; of a request that we send
  std::string_view upgrade;          ///< protocol asked for (HTTP/1.1 Upgrade, RFC 8441 :protocol); empty: none
};

/// A response's head. `fields` holds neither Connection, Content-Length, Transfer-Encoding nor the other hop-by-hop
/// fields: the session writes the framing from `content_length` and its own protocol.
struct ResponseHead {
  int status = 200;
  Fields fields;
  /// Known length of the content, also for the answer to HEAD and for 304; nullopt: it ends when it ends.
  std::optional<std::uint64_t> content_length;
};

/// True when a response of this status to this method has no content at all (RFC 9110 section 6.4.1).
bool has_no_content(int status, Method method);

/// "Not Found"; empty for a status without a registered phrase.
std::string_view reason_phrase(int status);

}  // namespace headgate::http
