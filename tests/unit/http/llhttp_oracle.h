// SPDX-License-Identifier: Apache-2.0
// A second opinion: the same bytes read by our parser and by llhttp (strict), and in what they disagree. llhttp is an
// independent parser that many servers use: what it reads otherwise, a neighbour may read otherwise.
//
// The rule: what we accept, llhttp accepts as the same message. What llhttp accepts and we refuse has a reason with a
// name of its own. The exceptions are the functions called known_*, each with its ground.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <llhttp.h>

#include "heard.h"

namespace headgate::http {

/// A message as llhttp reads it, up to the end of its chunked body.
struct SecondOpinion {
  bool head_complete = false;
  std::size_t head_size = 0;
  std::string method, target;
  int status = 0;
  int minor_version = 0;
  FieldTexts fields;
  bool chunked = false;
  bool length_told = false;
  std::uint64_t length = 0;

  bool body_complete = false;
  std::size_t body_size = 0;
  std::string content;
  FieldTexts trailers;
  std::string error;  ///< why it stopped; empty: it waits for more, or is complete
};

namespace oracle {

inline SecondOpinion& opinion(llhttp_t* parser) {
  return *static_cast<SecondOpinion*>(parser->data);
}

inline FieldTexts& fields(llhttp_t* parser) {
  return opinion(parser).head_complete ? opinion(parser).trailers : opinion(parser).fields;
}

inline int on_name(llhttp_t* parser, const char* at, std::size_t size) {
  fields(parser).emplace_back(std::string(at, size), "");
  return 0;
}

/// A folded value comes in parts.
inline int on_value(llhttp_t* parser, const char* at, std::size_t size) {
  // A field without a name is not told.
  if (fields(parser).empty()) fields(parser).emplace_back();
  fields(parser).back().second.append(at, size);
  return 0;
}

inline int on_url(llhttp_t* parser, const char* at, std::size_t size) {
  opinion(parser).target.append(at, size);
  return 0;
}

inline int on_body(llhttp_t* parser, const char* at, std::size_t size) {
  opinion(parser).content.append(at, size);
  return 0;
}

inline int on_head(llhttp_t*) {
  return HPE_PAUSED;
}

inline int on_end(llhttp_t* parser) {
  opinion(parser).body_complete = true;
  return HPE_PAUSED;
}

inline void trim_values(FieldTexts& texts) {
  for (auto& [name, value] : texts) value = trim(value);
}

}  // namespace oracle

inline SecondOpinion ask_llhttp(Http1Parser::Kind kind, std::string_view bytes) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_url = oracle::on_url;
  settings.on_header_field = oracle::on_name;
  settings.on_header_value = oracle::on_value;
  settings.on_headers_complete = oracle::on_head;
  settings.on_body = oracle::on_body;
  settings.on_message_complete = oracle::on_end;
  llhttp_t parser;
  llhttp_init(&parser, kind == Http1Parser::Kind::kRequest ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
  SecondOpinion said;
  parser.data = &said;
  if (const auto error = llhttp_execute(&parser, bytes.data(), bytes.size()); error != HPE_PAUSED) {
    if (error != HPE_OK) said.error = llhttp_get_error_reason(&parser);
    return said;
  }
  said.head_complete = true;
  said.head_size = static_cast<std::size_t>(llhttp_get_error_pos(&parser) - bytes.data());
  if (kind == Http1Parser::Kind::kRequest) {
    said.method = llhttp_method_name(static_cast<llhttp_method_t>(parser.method));
  }
  said.status = parser.status_code;
  said.minor_version = parser.http_major == 1 ? parser.http_minor : -1;
  said.chunked = (parser.flags & F_CHUNKED) != 0;
  said.length_told = (parser.flags & F_CONTENT_LENGTH) != 0;
  said.length = parser.content_length;
  oracle::trim_values(said.fields);
  if (!said.chunked) return said;

  const std::string_view body = bytes.substr(said.head_size);
  llhttp_resume(&parser);
  const auto error = llhttp_execute(&parser, body.data(), body.size());
  if (said.body_complete) {
    said.body_size = static_cast<std::size_t>(llhttp_get_error_pos(&parser) - body.data());
  } else if (error != HPE_OK) {
    said.error = llhttp_get_error_reason(&parser);
  }
  oracle::trim_values(said.trailers);
  return said;
}

namespace oracle {

/// The words for "not well-formed": what they stand for, llhttp should refuse as well.
inline bool is_nameless(std::string_view reason) {
  return reason == "bad_request" || reason == "bad_response" || reason == "bad_chunk";
}

/// llhttp skips blanks between the parts of a request line, takes a CONNECT without a target, and knows the lines of
/// HTTP/0.9, RTSP and ICE. In a status line it reads any byte in a reason phrase, statuses up to 999 and versions 0.9
/// and 2.0 (RFC 9112 sections 3 and 4). The rest of such a head is good.
inline bool known_start_line(Http1Parser::Kind kind, std::string_view bytes) {
  const auto begin = std::min(bytes.find_first_not_of("\r\n"), bytes.size());
  const auto end = bytes.find('\n', begin);
  if (end == std::string_view::npos) return false;
  const bool request = kind == Http1Parser::Kind::kRequest;
  std::string good = request ? "GET / HTTP/1.1\r\n" : "HTTP/1.1 200 OK\r\n";
  good += bytes.substr(end + 1);
  const Heard heard = hear(kind, good, at_once(good.size()), {1 << 20, 1000});
  if (!heard.complete && is_nameless(heard.reason)) return false;
  if (!request) return true;
  const auto line = bytes.substr(begin, end - begin);
  const bool http1 = line.ends_with(" HTTP/1.1\r") || line.ends_with(" HTTP/1.0\r");
  const bool three_parts =
      std::count(line.begin(), line.end(), ' ') == 2 && line.find("  ") == std::string_view::npos && line[0] != ' ';
  return !http1 || !three_parts;
}

/// llhttp takes a chunk's extension without a name or a value, and refuses one behind another's value and an escaped
/// character in quotes, both of which RFC 9112 section 7.1.1 has.
inline bool known_extension(std::string_view body) {
  return body.find(';') != std::string_view::npos;
}

/// llhttp wants a length to be one among the trailers as well, where it means nothing (RFC 9110 section 6.5.1).
inline bool known_trailers(const Fields& trailers) {
  return trailers.has(FieldId::kContentLength) || trailers.has(FieldId::kTransferEncoding);
}

inline std::string compare_bodies(Http1Parser& parser, std::string body, const SecondOpinion& said) {
  const std::string sent = body;
  const auto decoded = parser.decode_chunked(body.data(), body.size());
  if (!decoded.ok) {
    if (!said.body_complete || !is_nameless(parser.rejection().reason) || known_extension(sent)) return "";
    return std::string("llhttp accepts a body that is refused: ") + parser.rejection().reason;
  }
  if (decoded.finished != said.body_complete) {
    if (!said.error.empty() && (known_extension(sent) || known_trailers(parser.trailers()))) return "";
    if (!decoded.finished && said.error.empty()) return "llhttp is through with a body that goes on";
    if (!decoded.finished) return "";  // refused sooner
    return "llhttp does not see the end of a body: " + said.error;
  }
  if (!decoded.finished) return "";
  if (decoded.consumed != said.body_size) return "the body ends elsewhere";
  if (body.substr(0, decoded.produced) != said.content) return "the content is another";
  if (texts_of(parser.trailers()) != said.trailers) return "the trailers are others";
  return "";
}

inline bool same_target(std::string_view ours, std::string_view whole) {
  return ours == whole || (!whole.starts_with('/') && (whole.ends_with(ours) || ours == "/"));
}

}  // namespace oracle

/// Empty when both agree; else in what they do not.
inline std::string disagreement(Http1Parser::Kind kind, std::string_view bytes) {
  const bool request = kind == Http1Parser::Kind::kRequest;
  const SecondOpinion said = ask_llhttp(kind, bytes);
  Http1Parser parser(kind, {1 << 20, 1000});
  const auto outcome = parser.parse_head(bytes.data(), bytes.size());
  if (outcome == Http1Parser::Outcome::kNeedMore) return said.head_complete ? "llhttp is through with a head" : "";
  Heard heard;
  if (outcome == Http1Parser::Outcome::kRejected) {
    heard.rejected = true;
  } else if (request) {
    tell_request(parser, bytes.data(), heard);
  } else {
    tell_response(parser, bytes.data(), Method::kGet, heard);
  }
  if (heard.rejected) {
    const std::string_view reason = parser.rejection().reason;
    if (!said.head_complete || !oracle::is_nameless(reason) || oracle::known_start_line(kind, bytes)) return "";
    return "llhttp accepts what is refused: " + std::string(reason);
  }
  if (!said.head_complete) return "llhttp refuses: " + said.error;
  if (parser.head_size() != said.head_size) return "the head ends elsewhere";
  if (heard.fields != said.fields) return "the fields are others";
  if (request && heard.method != said.method) return "the method is another";
  if (request && !oracle::same_target(heard.target, said.target)) return "the target is another";
  if (request && (heard.version == Version::kHttp10) != (said.minor_version == 0)) return "the version is another";
  if (!request && heard.status != said.status) return "the status is another";
  if (heard.body == BodyKind::kChunked) {
    if (!said.chunked) return "llhttp sees no chunks";
    return oracle::compare_bodies(parser, std::string(bytes.substr(parser.head_size())), said);
  }
  if (heard.body == BodyKind::kLength && (!said.length_told || said.length != heard.content_length)) {
    return "the length is another";
  }
  if (request && heard.body == BodyKind::kNone && (said.chunked || said.length != 0)) return "llhttp sees a body";
  return "";
}

}  // namespace headgate::http
