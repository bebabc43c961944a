// SPDX-License-Identifier: Apache-2.0
// HTTP/1 from bytes (RFC 9112), strict: llhttp does the grammar, and what it lets pass but a neighbour might read
// otherwise is refused here: bare CR or LF, NUL, folded fields, repeated or disagreeing lengths, transfer codings other
// than one final "chunked", versions other than 1.0 and 1.1.
//
// The parser owns no bytes: the head lies whole in its caller's buffer, and a chunked body is decoded in place.
#pragma once

#include <llhttp.h>

#include <boost/container/small_vector.hpp>

#include <string>

#include "base/result.h"
#include "http/message.h"
#include "http/rejection.h"

namespace headgate::http {

struct HeadLimits {
  std::size_t max_bytes = 32 * 1024;
  std::size_t max_fields = 100;
};

class Http1Parser {
 public:
  enum class Kind { kRequest, kResponse };
  enum class Outcome { kNeedMore, kComplete, kRejected };

  Http1Parser(Kind kind, HeadLimits limits);
  Http1Parser(const Http1Parser&) = delete;
  Http1Parser& operator=(const Http1Parser&) = delete;

  /// Forgets everything: the next call of parse_head begins a new message.
  void reset();

  /// Looks at the bytes since the last call. `data` begins where the head begins and may have moved meanwhile. Empty
  /// lines before a request are part of the head (RFC 9112 section 2.2).
  Outcome parse_head(const char* data, std::size_t size);

  // After kComplete:
  std::size_t head_size() const { return head_size_; }
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
  struct Decoded {
    bool ok = true;
    bool finished = false;      ///< the last chunk and the trailers have been read
    std::size_t consumed = 0;   ///< bytes of data that belong to this message
    std::size_t produced = 0;   ///< bytes of content, now at the beginning of data
  };
  Decoded decode_chunked(char* data, std::size_t size);
  /// Complete once a chunked body has finished; views into the parser.
  const Fields& trailers() const { return trailers_; }

 private:
  struct Span {
    std::uint32_t offset;
    std::uint32_t size;
  };
  struct FieldSpan {
    Span name;
    Span value;
  };
  using FieldSpans = boost::container::small_vector<FieldSpan, 20>;
  struct Callbacks;
  friend struct Callbacks;

  Outcome reject_llhttp(const char* data, std::size_t size);
  Outcome check_lines(const char* data);
  Outcome check_target(RequestHead& head);
  Outcome check_host(RequestHead& head);
  Outcome check_framing(const Fields& fields);
  bool take_fields(const char* data, Fields& fields) const;
  bool check_body_lines(const char* data, std::size_t size);
  bool take_trailers();

  llhttp_t parser_;
  Kind kind_;
  HeadLimits limits_;
  const char* base_ = nullptr;  // of the buffer, during a call
  std::size_t line_begin_ = 0;  // of the request or status line, after empty lines
  std::size_t fed_ = 0;         // bytes of the head that llhttp has seen
  std::size_t head_size_ = 0;
  Span url_{};
  FieldSpans fields_;
  bool name_done_ = true;  // the next name begins a new field
  bool too_many_fields_ = false;

  bool keep_alive_ = false;
  bool expects_continue_ = false;
  BodyKind body_kind_ = BodyKind::kNone;
  std::uint64_t content_length_ = 0;
  Rejection rejection_;

  bool in_body_ = false;
  bool in_trailers_ = false;
  bool finished_ = false;
  bool trailers_too_large_ = false;
  const char* trailer_from_ = nullptr;  // where trailers begin or go on, during a call
  char* write_ = nullptr;               // where the next byte of content goes, while decoding in place
  std::uint64_t overhead_ = 0;          // bytes of chunk framing so far
  std::uint64_t content_ = 0;           // bytes of content so far
  char last_byte_ = 0;                  // of what has been checked
  std::string trailer_text_;
  FieldSpans trailer_spans_;
  Fields trailers_;
};

}  // namespace headgate::http
