// SPDX-License-Identifier: Apache-2.0
// Http1Parser's second half: chunked bodies, decoded in place (RFC 9112 section 7.1).
#include "http/http1_parser.h"

namespace headgate::http {
namespace {

/// Framing bytes that a chunked body may cost: chunks of one byte pay five for each.
constexpr std::uint64_t kMinOverhead = 16 * 1024;
constexpr std::uint64_t kOverheadPerByte = 8;

}  // namespace

Http1Parser::Decoded Http1Parser::decode_chunked(char* data, std::size_t size) {
  Decoded result;
  base_ = data;
  write_ = data;
  trailer_from_ = data;
  if (!in_body_) {
    in_body_ = true;
    name_done_ = true;
    llhttp_resume(&parser_);
  }
  const llhttp_errno_t error = llhttp_execute(&parser_, data, size);
  if (error == HPE_OK) {
    result.consumed = size;
  } else if (error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE) {
    result.consumed = static_cast<std::size_t>(llhttp_get_error_pos(&parser_) - data);
  } else {
    rejection_ = trailers_too_large_ || too_many_fields_
                     ? Rejection{431, "trailers_too_large", "the trailers are larger than allowed"}
                     : Rejection{400, "bad_chunk", "a chunk is not well-formed"};
    result.ok = false;
    return result;
  }
  result.produced = static_cast<std::size_t>(write_ - data);
  result.finished = finished_;
  content_ += result.produced;
  overhead_ += result.consumed - result.produced;
  if (overhead_ > kMinOverhead + kOverheadPerByte * content_) {
    rejection_ = {400, "chunk_overhead", "chunk extensions or trailers out of proportion"};
    result.ok = false;
    return result;
  }
  if (!check_body_lines(data, result.consumed) || (finished_ && !take_trailers())) result.ok = false;
  return result;
}

/// What llhttp lets pass: a bare LF that ends the body or a trailer, and trailers that are folded.
bool Http1Parser::check_body_lines(const char* data, std::size_t size) {
  const char* const end = data + size;
  if (!in_trailers_) {
    const char before = size >= 2 ? end[-2] : last_byte_;
    if (finished_ && before != '\r') {
      rejection_ = {400, "bare_lf", "a chunked body that does not end with CRLF"};
      return false;
    }
    if (size > 0) last_byte_ = end[-1];
    return true;
  }
  for (const char* byte = trailer_from_; byte < end; ++byte) {
    if ((*byte == '\n') != (last_byte_ == '\r')) {
      rejection_ = {400, "bare_lf", "a trailer that does not end with CRLF"};
      return false;
    }
    if (last_byte_ == '\n' && (*byte == ' ' || *byte == '\t')) {
      rejection_ = {400, "folded_trailer", "a trailer that is folded over several lines"};
      return false;
    }
    last_byte_ = *byte;
  }
  return true;
}

bool Http1Parser::take_trailers() {
  const std::string_view text(trailer_text_);
  for (const auto& span : trailer_spans_) {
    const auto name = text.substr(span.name.offset, span.name.size);
    const auto value = trim(text.substr(span.value.offset, span.value.size));
    if (!is_token(name) || !is_field_value(value)) {
      rejection_ = {400, "bad_trailer", "a trailer that is no field"};
      return false;
    }
    trailers_.add(name, value);
  }
  return true;
}

}  // namespace headgate::http
