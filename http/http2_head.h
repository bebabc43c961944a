// SPDX-License-Identifier: Apache-2.0
// Heads and trailers of HTTP/2 (RFC 9113 sections 8.2 and 8.3) to and from the model. nghttp2 refuses what is malformed
// by itself (upper case, connection fields, pseudo-fields that are repeated, missing or late, bad characters); what it
// lets pass but HTTP/1 refuses here, or a neighbour might read otherwise, is refused by check_request.
//
// Pure but for the arena; loop thread only.
#pragma once

#include <optional>
#include <span>

#include "base/arena.h"
#include "http/http2_library.h"
#include "http/message.h"
#include "http/rejection.h"

namespace headgate::http {

/// Views into the exchange's arena; a field that was not sent has a null data().
struct Http2Pseudo {
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
  std::string_view protocol;
  std::string_view status;
};

/// Takes the fields of one block as nghttp2 decodes them, within limits.
class Http2HeadReader {
 public:
  enum class Verdict : std::uint8_t { kWithin, kTooLarge, kTooMany, kTargetTooLong };

  /// `max_bytes` counts as SETTINGS_MAX_HEADER_LIST_SIZE does: name, value and 32 for each field.
  Http2HeadReader(Arena& arena, Fields& fields, std::size_t max_bytes, std::size_t max_fields)
      : arena_(arena), fields_(fields), max_bytes_(max_bytes), max_fields_(max_fields) {}

  /// Beyond the limits fields are counted, not kept.
  void add(nghttp2_rcbuf* name, nghttp2_rcbuf* value);

  const Http2Pseudo& pseudo() const { return pseudo_; }
  Verdict verdict() const { return verdict_; }
  std::size_t bytes() const { return bytes_; }

 private:
  Arena& arena_;
  Fields& fields_;
  const std::size_t max_bytes_;
  const std::size_t max_fields_;
  std::size_t bytes_ = 0;
  Verdict verdict_ = Verdict::kWithin;
  Http2Pseudo pseudo_;
};

/// A block of trailers that is being read, or has been.
struct Http2Trailers {
  Http2Trailers(Arena& arena, std::size_t max_bytes, std::size_t max_fields)
      : reader(arena, fields, max_bytes, max_fields) {}
  Fields fields;
  Http2HeadReader reader;
};

/// Fills the request from what was read; `ended`: nothing follows the head. The rejection when it is not acceptable:
/// then as much is filled as was understood.
std::optional<Rejection> check_request(const Http2HeadReader& read, bool ended, RequestHead& head, Arena& arena);

/// A response's head as nghttp2 takes it, in the arena. `status` replaces the head's own. Date and Content-Length are
/// written where HTTP/1 would write them; what belongs to one connection is left out.
std::span<nghttp2_nv> response_block(const ResponseHead& head, int status, Arena& arena);

/// Fills a response's head from what was read: status and content_length; the fields are there already. False when it
/// is not acceptable.
bool check_response(const Http2HeadReader& read, ResponseHead& head);

/// A request's head as nghttp2 takes it, in the arena. `head.fields` hold no Host: :authority is written in its place.
std::span<nghttp2_nv> request_block(const RequestHead& head, std::string_view scheme, Arena& arena);

/// Trailers likewise; empty when nothing is left of them.
std::span<nghttp2_nv> trailer_block(const Fields& trailers, Arena& arena);

}  // namespace headgate::http
