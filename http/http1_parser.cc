// SPDX-License-Identifier: Apache-2.0
#include "http/http1_parser.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace headgate::http {
namespace {

constexpr std::size_t kMaxTrailers = 8 * 1024;
/// No method is longer (IANA's longest has 17 letters).
constexpr std::size_t kMaxMethod = 64;
/// No honest chunk is larger, and sums of sizes stay far from overflow.
constexpr std::uint64_t kMaxChunk = std::uint64_t{1} << 60;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// From the request line on: empty lines may stand before it.
std::string_view without_empty_lines(std::string_view head) {
  head.remove_prefix(std::min(head.find_first_not_of("\r\n"), head.size()));
  return head;
}

/// host[:port] of RFC 9110 section 7.2: a name, an IPv4 address or a bracketed IPv6 one; no user information.
bool is_authority(std::string_view text) {
  if (text.empty()) return false;
  std::size_t host_end;
  if (text.front() == '[') {
    host_end = text.find(']');
    if (host_end == std::string_view::npos || host_end < 3) return false;
    const auto inside = text.substr(1, host_end - 1);
    if (inside.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) return false;
    ++host_end;
  } else {
    host_end = std::min(text.find(':'), text.size());
    if (host_end == 0) return false;
    const bool good = std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(host_end), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '.' || c == '_' ||
             c == '~';
    });
    if (!good) return false;
  }
  const auto rest = text.substr(host_end);
  if (rest.empty()) return true;
  if (rest.front() != ':' || rest.size() > 6) return false;
  unsigned port = 0;
  const auto digits = rest.substr(1);
  if (digits.empty()) return true;  // "host:" is allowed by RFC 3986
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc() && end == digits.data() + digits.size() && port <= 65535;
}

}  // namespace

struct Http1Parser::Callbacks {
  static Http1Parser& self(llhttp_t* p) { return *static_cast<Http1Parser*>(p->data); }

  static void extend(Http1Parser& me, Span& span, const char* at, std::size_t length) {
    if (span.size == 0) span.offset = static_cast<std::uint32_t>(at - me.base_);
    span.size += static_cast<std::uint32_t>(length);
  }

  static int on_url(llhttp_t* p, const char* at, std::size_t length) {
    auto& me = self(p);
    extend(me, me.url_, at, length);
    return 0;
  }

  static int on_name(llhttp_t* p, const char* at, std::size_t length) {
    auto& me = self(p);
    auto& spans = me.in_body_ ? me.trailer_spans_ : me.fields_;
    if (me.in_body_ && !me.in_trailers_) {
      me.in_trailers_ = true;
      me.trailer_from_ = at;
      me.last_byte_ = '\n';
    }
    if (me.name_done_) {
      if (spans.size() >= me.limits_.max_fields) {
        me.too_many_fields_ = true;
        return -1;
      }
      spans.push_back({});
      me.name_done_ = false;
    }
    return add(me, spans.back().name, at, length);
  }

  static int on_name_complete(llhttp_t* p) {
    self(p).name_done_ = true;
    return 0;
  }

  static int on_value(llhttp_t* p, const char* at, std::size_t length) {
    auto& me = self(p);
    auto& spans = me.in_body_ ? me.trailer_spans_ : me.fields_;
    return spans.empty() ? -1 : add(me, spans.back().value, at, length);
  }

  /// In the head a span of the buffer grows; a trailer is copied, since its buffer is reused for the next read.
  static int add(Http1Parser& me, Span& span, const char* at, std::size_t length) {
    if (!me.in_body_) {
      extend(me, span, at, length);
      return 0;
    }
    if (me.trailer_text_.size() + length > kMaxTrailers) {
      me.trailers_too_large_ = true;
      return -1;
    }
    if (span.size == 0) span.offset = static_cast<std::uint32_t>(me.trailer_text_.size());
    me.trailer_text_.append(at, length);
    span.size += static_cast<std::uint32_t>(length);
    return 0;
  }

  static int on_headers_complete(llhttp_t*) { return HPE_PAUSED; }

  static int on_chunk_header(llhttp_t* p) { return p->content_length > kMaxChunk ? -1 : 0; }

  static int on_body(llhttp_t* p, const char* at, std::size_t length) {
    auto& me = self(p);
    if (me.write_ != at) std::memmove(me.write_, at, length);
    me.write_ += length;
    return 0;
  }

  static int on_message_complete(llhttp_t* p) {
    self(p).finished_ = true;
    return HPE_PAUSED;
  }

  static llhttp_settings_t make() {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_header_field = on_name;
    settings.on_header_field_complete = on_name_complete;
    settings.on_header_value = on_value;
    settings.on_headers_complete = on_headers_complete;
    settings.on_chunk_header = on_chunk_header;
    settings.on_body = on_body;
    settings.on_message_complete = on_message_complete;
    return settings;
  }
};

namespace {
llhttp_settings_t* shared_settings(llhttp_settings_t (*make)()) {
  static llhttp_settings_t settings = make();
  return &settings;
}
}  // namespace

Http1Parser::Http1Parser(Kind kind, HeadLimits limits) : kind_(kind), limits_(limits) { reset(); }

void Http1Parser::reset() {
  llhttp_init(&parser_, kind_ == Kind::kRequest ? HTTP_REQUEST : HTTP_RESPONSE, shared_settings(Callbacks::make));
  parser_.data = this;
  fed_ = head_size_ = line_begin_ = 0;
  url_ = {};
  fields_.clear();
  name_done_ = true;
  too_many_fields_ = keep_alive_ = expects_continue_ = false;
  body_kind_ = BodyKind::kNone;
  content_length_ = 0;
  in_body_ = in_trailers_ = finished_ = trailers_too_large_ = false;
  overhead_ = content_ = 0;
  last_byte_ = 0;
  trailer_text_.clear();
  trailer_spans_.clear();
  trailers_.clear();
}

Http1Parser::Outcome Http1Parser::reject(int status, const char* reason, const char* detail) {
  rejection_ = {status, reason, detail};
  return Outcome::kRejected;
}

Http1Parser::Outcome Http1Parser::parse_head(const char* data, std::size_t size) {
  base_ = data;
  const std::size_t end = std::min(size, limits_.max_bytes);
  const llhttp_errno_t error = llhttp_execute(&parser_, data + fed_, end - fed_);
  if (error == HPE_PAUSED) {
    head_size_ = static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - data);
    return check_lines(data);
  }
  const auto line = without_empty_lines({data, end});
  // llhttp refuses an unknown method at its first letter that no known one has: the answer waits for its last.
  const bool cut_method = error == HPE_INVALID_METHOD && line.size() <= kMaxMethod && is_token(line);
  if (error != HPE_OK && !cut_method) return reject_llhttp(data, end);
  fed_ = end;
  if (size < limits_.max_bytes) return Outcome::kNeedMore;
  if (kind_ == Kind::kRequest && line.find('\n') == std::string_view::npos) {
    return reject(414, "uri_too_long", "the request line is longer than limits.max_header_bytes");
  }
  return reject(431, "header_too_large", "the request head is larger than limits.max_header_bytes");
}

Http1Parser::Outcome Http1Parser::reject_llhttp(const char* data, std::size_t size) {
  if (too_many_fields_) return reject(431, "too_many_headers", "more header fields than limits.max_headers");
  if (kind_ == Kind::kResponse) return reject(502, "bad_response", llhttp_get_error_reason(&parser_));
  // The request line tells apart what is merely unknown to us from what is no HTTP at all. It is read up to where
  // llhttp stopped, so that the answer does not depend on what has arrived behind it.
  auto line = without_empty_lines({data, size});
  line = line.substr(0, line.find_first_of("\r\n"));
  const auto method_end = line.find(' ');
  const bool method = method_end <= kMaxMethod && is_token(line.substr(0, method_end));
  if (const char* const at = llhttp_get_error_pos(&parser_); at >= line.data() && at < line.data() + line.size()) {
    line = line.substr(0, static_cast<std::size_t>(at - line.data()));
  }
  const auto version = line.substr(std::min(line.rfind(' ') + 1, line.size()));
  switch (llhttp_get_errno(&parser_)) {
    case HPE_INVALID_METHOD:
      if (method) return reject(501, "method_not_implemented", "the method is not known here");
      break;
    case HPE_PAUSED_H2_UPGRADE:
    case HPE_INVALID_VERSION:
    case HPE_INVALID_CONSTANT:
      if (version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) && version[6] == '.' &&
          is_digit(version[7]) && version != "HTTP/1.1" && version != "HTTP/1.0") {
        return reject(505, "version_not_supported", "HTTP/1.0 and HTTP/1.1 are spoken here");
      }
      break;
    default: break;
  }
  return reject(400, "bad_request", "the request is not well-formed HTTP/1.1");
}

/// What llhttp lets pass of RFC 9112 sections 2.2 and 5.2: a line that ends with a bare LF, a CR before the first line,
/// a folded field. (It refuses NUL, and a CR inside a line.)
Http1Parser::Outcome Http1Parser::check_lines(const char* data) {
  const int status = kind_ == Kind::kRequest ? 400 : 502;
  const char* const end = data + head_size_;
  const char* line = data;
  bool begun = false;
  while (line < end) {
    const char* const lf = static_cast<const char*>(std::memchr(line, '\n', static_cast<std::size_t>(end - line)));
    if (lf == nullptr || lf == line || lf[-1] != '\r') {
      return reject(status, "bare_lf", "a line that does not end with CRLF");
    }
    const bool empty = lf - line == 1;
    if (!begun && !empty) {
      if (*line == '\r') return reject(status, "bare_cr", "a CR that is not followed by LF");
      begun = true;
      line_begin_ = static_cast<std::size_t>(line - data);
    } else if (begun && (*line == ' ' || *line == '\t')) {
      return reject(status, "folded_header", "a header field that is folded over several lines");
    }
    line = lf + 1;
  }
  return Outcome::kComplete;
}

/// False for a field without a name, which llhttp lets pass.
bool Http1Parser::take_fields(const char* data, Fields& fields) const {
  for (const auto& span : fields_) {
    if (span.name.size == 0) return false;
    fields.add({data + span.name.offset, span.name.size}, trim({data + span.value.offset, span.value.size}));
  }
  return true;
}

Http1Parser::Outcome Http1Parser::take_request(const char* data, RequestHead& head) {
  const std::string_view line(data + line_begin_, head_size_ - line_begin_);
  head.method_name = line.substr(0, line.find(' '));
  head.method = method_of(head.method_name);
  head.target = {data + url_.offset, url_.size};
  const auto after_target = line.substr(url_.offset + url_.size - line_begin_);
  if (!after_target.starts_with(" HTTP/1.")) {
    if (after_target.starts_with(" HTTP/")) {
      return reject(505, "version_not_supported", "HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    return reject(400, "bad_request", "the request line does not end with HTTP/1.1");
  }
  head.version = parser_.http_minor == 0 ? Version::kHttp10 : Version::kHttp11;
  if (url_.offset != line_begin_ + head.method_name.size() + 1) {
    return reject(400, "bad_request", "the parts of the request line stand one space apart");
  }
  if (!take_fields(data, head.fields)) return reject(400, "empty_field_name", "a header field without a name");
  if (const auto outcome = check_framing(head.fields); outcome != Outcome::kComplete) return outcome;
  if (body_kind_ == BodyKind::kChunked && head.version == Version::kHttp10) {
    return reject(400, "transfer_encoding_in_http10", "Transfer-Encoding in a request of HTTP/1.0");
  }
  if (const auto outcome = check_host(head); outcome != Outcome::kComplete) return outcome;
  if (const auto outcome = check_target(head); outcome != Outcome::kComplete) return outcome;
  head.body = body_kind_;
  head.content_length = content_length_;
  const Fields& fields = head.fields;
  if (head.version == Version::kHttp11) {
    keep_alive_ = !fields.list_contains(FieldId::kConnection, "close");
    if (const auto upgrade = fields.get(FieldId::kUpgrade);
        upgrade && fields.list_contains(FieldId::kConnection, "upgrade")) {
      head.upgrade = *upgrade;
    }
  } else {
    keep_alive_ = fields.list_contains(FieldId::kConnection, "keep-alive") &&
                  !fields.list_contains(FieldId::kConnection, "close");
  }
  if (const auto expect = fields.get(FieldId::kExpect); expect && head.version == Version::kHttp11) {
    if (!iequals(*expect, "100-continue")) return reject(417, "expectation_failed", "only 100-continue is understood");
    expects_continue_ = body_kind_ != BodyKind::kNone;
  }
  return Outcome::kComplete;
}

/// RFC 9112 section 6.3. llhttp has refused repeated and malformed lengths, and lengths beside a transfer coding.
Http1Parser::Outcome Http1Parser::check_framing(const Fields& fields) {
  const int status = kind_ == Kind::kRequest ? 400 : 502;
  const auto codings = fields.count(FieldId::kTransferEncoding);
  const auto lengths = fields.count(FieldId::kContentLength);
  if (codings > 0 && lengths > 0) {
    return reject(status, "length_and_transfer_encoding", "Content-Length and Transfer-Encoding together");
  }
  if (lengths > 1) return reject(status, "repeated_content_length", "more than one Content-Length");
  if (codings > 1 || (codings == 1 && !iequals(*fields.get(FieldId::kTransferEncoding), "chunked"))) {
    return reject(status, "bad_transfer_encoding", "a transfer coding other than one chunked");
  }
  if (codings == 1) {
    body_kind_ = BodyKind::kChunked;
  } else if (lengths == 1) {
    const auto text = *fields.get(FieldId::kContentLength);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), content_length_);
    if (text.empty() || !is_digit(text.front()) || error != std::errc() || end != text.data() + text.size()) {
      return reject(status, "bad_content_length", "Content-Length is not a decimal number");
    }
    body_kind_ = content_length_ == 0 ? BodyKind::kNone : BodyKind::kLength;
  }
  return Outcome::kComplete;
}

Http1Parser::Outcome Http1Parser::check_host(RequestHead& head) {
  const auto hosts = head.fields.count(FieldId::kHost);
  if (hosts == 0 && head.version == Version::kHttp11) return reject(400, "missing_host", "Host is missing");
  if (hosts > 1) return reject(400, "repeated_host", "more than one Host");
  if (hosts == 1) {
    head.authority = *head.fields.get(FieldId::kHost);
    if (!is_authority(head.authority)) return reject(400, "bad_host", "Host is not host[:port]");
  }
  return Outcome::kComplete;
}

/// RFC 9112 section 3.2: origin form, absolute form (whose host must be that of Host), and "*" for OPTIONS.
Http1Parser::Outcome Http1Parser::check_target(RequestHead& head) {
  if (head.method == Method::kConnect) return reject(501, "connect_not_implemented", "CONNECT is not offered here");
  if (head.target == "*") {
    if (head.method != Method::kOptions) return reject(400, "bad_target", "the target * is for OPTIONS");
    head.path = head.target;
    return Outcome::kComplete;
  }
  if (!head.target.starts_with('/')) {
    const auto scheme_end = head.target.find("://");
    const auto scheme = head.target.substr(0, scheme_end);
    if (scheme_end == std::string_view::npos || !(iequals(scheme, "http") || iequals(scheme, "https"))) {
      return reject(400, "bad_target", "the request target is neither a path nor an http URL");
    }
    const auto rest = head.target.substr(scheme_end + 3);
    const auto authority = rest.substr(0, rest.find_first_of("/?#"));
    if (!is_authority(authority)) return reject(400, "bad_host", "the target's host is not host[:port]");
    if (!head.authority.empty() && !iequals(authority, head.authority)) {
      return reject(400, "host_mismatch", "the target's host is not that of Host");
    }
    head.authority = authority;
    head.target = rest.substr(authority.size());
    if (head.target.empty()) head.target = "/";
    if (!head.target.starts_with('/')) return reject(400, "bad_target", "a URL without a path");
  }
  if (head.target.find('#') != std::string_view::npos) return reject(400, "bad_target", "a fragment in the target");
  const auto question = head.target.find('?');
  head.path = head.target.substr(0, question);
  head.query = question == std::string_view::npos ? std::string_view() : head.target.substr(question + 1);
  return Outcome::kComplete;
}

Http1Parser::Outcome Http1Parser::take_response(const char* data, Method method, ResponseHead& head) {
  head.status = parser_.status_code;
  if (head.status < 100 || head.status > 599 || parser_.http_major != 1) {
    return reject(502, "bad_response", "the status line is not that of HTTP/1");
  }
  if (!take_fields(data, head.fields)) return reject(502, "bad_response", "a header field without a name");
  if (const auto outcome = check_framing(head.fields); outcome != Outcome::kComplete) return outcome;
  if (body_kind_ == BodyKind::kChunked && parser_.http_minor == 0) {
    return reject(502, "bad_response", "Transfer-Encoding in a response of HTTP/1.0");
  }
  const Fields& fields = head.fields;
  keep_alive_ = !fields.list_contains(FieldId::kConnection, "close") &&
                (parser_.http_minor != 0 || fields.list_contains(FieldId::kConnection, "keep-alive"));
  head.content_length.reset();
  if (fields.has(FieldId::kContentLength)) head.content_length = content_length_;
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

}  // namespace headgate::http
