// SPDX-License-Identifier: Apache-2.0
// HTTP/1 from bytes (RFC 9112), strict: what a neighbour might read otherwise is refused. The grammar is in
// http/start_line and http/field_lines, what the fields mean in http/http1_framing, bodies in http/http1_chunked; this
// is the one message that they make together.
//
// The parser owns no bytes: the head lies whole in its caller's buffer, and a chunked body is decoded in place.
#pragma once

#include "http/field_lines.h"
#include "http/http1_chunked.h"
#include "http/message.h"
#include "http/rejection.h"
#include "http/start_line.h"

namespace headgate::http {

struct HeadLimits {
  std::size_t max_bytes = 32 * 1024;  ///< at most 16 MiB
  std::size_t max_fields = 100;
};

class Http1Parser {
 public:
  enum class Kind : std::uint8_t { kRequest, kResponse };
  enum class Outcome { kNeedMore, kComplete, kRejected };

  Http1Parser(Kind kind, HeadLimits limits) : limits_(limits), kind_(kind) { reset(); }
  Http1Parser(const Http1Parser&) = delete;
  Http1Parser& operator=(const Http1Parser&) = delete;

  /// Forgets everything: the next call of parse_head begins a new message.
  void reset();

  /// Looks at the bytes since the last call. `data` begins where the head begins and may have moved meanwhile. Empty
  /// lines before the head are part of it (RFC 9112 section 2.2).
  Outcome parse_head(const char* data, std::size_t size);

  // After kComplete:
  std::size_t head_size() const { return lines_.end(); }
  /// Fills the head with views into `data`.
  Outcome take_request(const char* data, RequestHead& head);
  /// `method` is that of the request it answers: it decides whether there is content.
  Outcome take_response(const char* data, Method method, ResponseHead& head);

  /// True when the connection may carry another message, as far as this head says.
  bool keep_alive() const { return keep_alive_; }
  bool expects_continue() const { return expects_continue_; }
  BodyKind body_kind() const { return body_kind_; }
  std::uint64_t content_length() const { return content_length_; }

  /// After kRejected.
  const Rejection& rejection() const { return rejection_; }
  /// Refuses for a reason of the caller's (a deadline): rejection() then tells it. Literals.
  Outcome reject(int status, const char* reason, const char* detail);

  // A chunked body, after the head: decodes data[0, size) in place.
  using Decoded = ChunkedDecoder::Decoded;
  Decoded decode_chunked(char* data, std::size_t size);
  /// Complete once a chunked body has finished; views into the parser.
  const Fields& trailers() const { return chunked_.trailers(); }

 private:
  Outcome reject_line(StartLine::Fault fault);
  Outcome reject_field(FieldLines::Fault fault);
  /// Of a request 400, of a response 502.
  Outcome reject_malformed(const char* reason, const char* detail);
  Outcome reject_size();
  Outcome frame_body(const Fields& fields, Version version);
  Outcome check_expectation(const RequestHead& head);

  HeadLimits limits_;
  Kind kind_;
  bool in_fields_ = false;  // the first line has been read
  bool keep_alive_ = false;
  bool expects_continue_ = false;
  BodyKind body_kind_ = BodyKind::kNone;
  std::uint64_t content_length_ = 0;
  Rejection rejection_;
  StartLine line_;
  FieldLines lines_;
  ChunkedDecoder chunked_;
};

}  // namespace headgate::http
