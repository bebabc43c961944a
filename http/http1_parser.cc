// SPDX-License-Identifier: Apache-2.0
#include "http/http1_parser.h"

#include <algorithm>

#include "http/http1_framing.h"

namespace headgate::http {

void Http1Parser::reset() {
  line_.begin();
  in_fields_ = keep_alive_ = expects_continue_ = false;
  body_kind_ = BodyKind::kNone;
  content_length_ = 0;
  chunked_ = {};
}

Http1Parser::Outcome Http1Parser::reject(int status, const char* reason, const char* detail) {
  rejection_ = {status, reason, detail};
  return Outcome::kRejected;
}

Http1Parser::Outcome Http1Parser::reject_malformed(const char* reason, const char* detail) {
  return reject(kind_ == Kind::kRequest ? 400 : 502, reason, detail);
}

Http1Parser::Outcome Http1Parser::parse_head(const char* data, std::size_t size) {
  const std::size_t end = std::min(size, limits_.max_bytes);
  if (!in_fields_) {
    const auto step = kind_ == Kind::kRequest ? line_.parse_request(data, end) : line_.parse_status(data, end);
    if (step == StartLine::Step::kFault) return reject_line(line_.fault());
    if (step == StartLine::Step::kNeedMore) return size < limits_.max_bytes ? Outcome::kNeedMore : reject_size();
    in_fields_ = true;
    lines_.begin(line_.end());
  }
  switch (lines_.parse(data, end, limits_.max_fields)) {
    case FieldLines::Step::kEnd:
      return Outcome::kComplete;
    case FieldLines::Step::kFault:
      return reject_field(lines_.fault());
    case FieldLines::Step::kNeedMore:
      break;
  }
  return size < limits_.max_bytes ? Outcome::kNeedMore : reject_size();
}

Http1Parser::Outcome Http1Parser::reject_size() {
  if (kind_ == Kind::kRequest && !in_fields_) {
    return reject(414, "uri_too_long", "the request line is longer than limits.max_header_bytes");
  }
  return reject(431, "header_too_large", "the request head is larger than limits.max_header_bytes");
}

Http1Parser::Outcome Http1Parser::reject_line(StartLine::Fault fault) {
  switch (fault) {
    case StartLine::Fault::kBareLf:
      return reject_malformed("bare_lf", "a line that does not end with CRLF");
    case StartLine::Fault::kBareCr:
      return reject_malformed("bare_cr", "a CR that is not followed by LF");
    case StartLine::Fault::kVersion:
      return reject(505, "version_not_supported", "HTTP/1.0 and HTTP/1.1 are spoken here");
    case StartLine::Fault::kMethod:
      return reject(501, "method_not_implemented", "the method is not known here");
    case StartLine::Fault::kMalformed:
      break;
  }
  if (kind_ == Kind::kResponse) return reject(502, "bad_response", "the status line is not that of HTTP/1");
  return reject(400, "bad_request", "the request is not well-formed HTTP/1.1");
}

Http1Parser::Outcome Http1Parser::reject_field(FieldLines::Fault fault) {
  switch (fault) {
    case FieldLines::Fault::kBareLf:
      return reject_malformed("bare_lf", "a line that does not end with CRLF");
    case FieldLines::Fault::kBareCr:
      return reject_malformed("bare_cr", "a CR that is not followed by LF");
    case FieldLines::Fault::kFolded:
      return reject_malformed("folded_header", "a header field that is folded over several lines");
    case FieldLines::Fault::kTooMany:
      return reject(431, "too_many_headers", "more header fields than limits.max_headers");
    case FieldLines::Fault::kNoName:
      return reject_malformed("empty_field_name", "a header field without a name");
    case FieldLines::Fault::kMalformed:
      break;
  }
  if (kind_ == Kind::kResponse) return reject(502, "bad_response", "a header field is not well-formed");
  return reject(400, "bad_request", "the request is not well-formed HTTP/1.1");
}

Http1Parser::Outcome Http1Parser::frame_body(const Fields& fields, Version version) {
  Framing framing;
  if (const Rejection* const wrong = frame(fields, framing)) return reject_malformed(wrong->reason, wrong->detail);
  if (framing.body == BodyKind::kChunked && version == Version::kHttp10) {
    // RFC 9112 section 6.1: whoever sent this does not know what it means.
    return reject_malformed("transfer_encoding_in_http10", "Transfer-Encoding in a message of HTTP/1.0");
  }
  body_kind_ = framing.body;
  content_length_ = framing.content_length;
  return Outcome::kComplete;
}

Http1Parser::Outcome Http1Parser::take_request(const char* data, RequestHead& head) {
  head.method_name = line_.method(data);
  head.method = method_of(head.method_name);
  head.target = line_.target(data);
  head.version = line_.minor_version() == 0 ? Version::kHttp10 : Version::kHttp11;
  lines_.append_to(data, head.fields);
  if (const auto outcome = frame_body(head.fields, head.version); outcome != Outcome::kComplete) return outcome;
  if (const Rejection* const wrong = settle_target(head)) return reject(wrong->status, wrong->reason, wrong->detail);
  head.body = body_kind_;
  head.content_length = content_length_;
  keep_alive_ = stays_open(head.fields, head.version);
  if (head.version == Version::kHttp10) return Outcome::kComplete;
  if (const auto upgrade = head.fields.get(FieldId::kUpgrade);
      upgrade && head.fields.list_contains(FieldId::kConnection, "upgrade")) {
    head.upgrade = *upgrade;
  }
  return check_expectation(head);
}

/// RFC 9110 section 10.1.1.
Http1Parser::Outcome Http1Parser::check_expectation(const RequestHead& head) {
  const auto expect = head.fields.get(FieldId::kExpect);
  if (!expect) return Outcome::kComplete;
  if (!iequals(*expect, "100-continue")) return reject(417, "expectation_failed", "only 100-continue is understood");
  expects_continue_ = body_kind_ != BodyKind::kNone;
  return Outcome::kComplete;
}

Http1Parser::Outcome Http1Parser::take_response(const char* data, Method method, ResponseHead& head) {
  head.status = line_.status();
  const Version version = line_.minor_version() == 0 ? Version::kHttp10 : Version::kHttp11;
  lines_.append_to(data, head.fields);
  if (const auto outcome = frame_body(head.fields, version); outcome != Outcome::kComplete) return outcome;
  keep_alive_ = stays_open(head.fields, version);
  head.content_length.reset();
  if (head.fields.has(FieldId::kContentLength)) head.content_length = content_length_;
  if (has_no_content(head.status, method)) {
    body_kind_ = BodyKind::kNone;
    // 1xx and 204 have no length (RFC 9110 section 8.6); that of HEAD and 304 is passed on.
    if (head.status < 200 || head.status == 204) head.content_length.reset();
  } else if (body_kind_ == BodyKind::kNone && !head.content_length) {
    body_kind_ = BodyKind::kUntilClose;
    keep_alive_ = false;
  }
  return Outcome::kComplete;
}

Http1Parser::Decoded Http1Parser::decode_chunked(char* data, std::size_t size) {
  const auto decoded = chunked_.decode(data, size, limits_.max_fields);
  if (!decoded.ok) rejection_ = chunked_.rejection();
  return decoded;
}

}  // namespace headgate::http
