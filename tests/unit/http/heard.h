// SPDX-License-Identifier: Apache-2.0
// What the parser made of some bytes, as a value, and the ways in which bytes can arrive.
#pragma once

#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "http/http1_parser.h"

namespace headgate::http {

using FieldTexts = std::vector<std::pair<std::string, std::string>>;

inline FieldTexts texts_of(const Fields& fields) {
  FieldTexts out;
  for (const auto& field : fields) out.emplace_back(field.name, field.value);
  return out;
}

/// A head and what it says, or the refusal. Only what the outcome has is filled.
struct Heard {
  bool complete = false;
  bool rejected = false;
  int status = 0;  ///< of the refusal, or of a response
  std::string reason;
  std::size_t head_size = 0;
  std::string method, target, path, query, authority, upgrade;
  Version version = Version::kHttp11;
  FieldTexts fields;
  BodyKind body = BodyKind::kNone;
  std::uint64_t content_length = 0;
  bool length_told = false;  ///< a response's content_length has a value
  bool keep_alive = false;
  bool expects_continue = false;

  friend bool operator==(const Heard&, const Heard&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Heard& heard) {
  if (heard.rejected) return out << "refused: " << heard.status << " " << heard.reason;
  if (!heard.complete) return out << "waits for more";
  out << "head of " << heard.head_size << ": " << heard.status << " " << heard.method << " " << heard.target << " at "
      << heard.authority << " upgrade '" << heard.upgrade << "' body " << static_cast<int>(heard.body) << "/"
      << heard.content_length << " keep " << heard.keep_alive << " expects " << heard.expects_continue;
  for (const auto& [name, value] : heard.fields) out << " [" << name << "=" << value << "]";
  return out;
}

/// Where a connection's bytes are cut: how many have arrived at each look. The last is all of them.
using Cuts = std::vector<std::size_t>;

inline Cuts at_once(std::size_t size) {
  return {size};
}
inline Cuts one_by_one(std::size_t size) {
  Cuts cuts;
  for (std::size_t i = 1; i <= size; ++i) cuts.push_back(i);
  return cuts;
}

inline Heard refusal(const Http1Parser& parser) {
  Heard heard;
  heard.rejected = true;
  heard.status = parser.rejection().status;
  heard.reason = parser.rejection().reason;
  return heard;
}

inline void tell_request(Http1Parser& parser, const char* data, Heard& heard) {
  RequestHead head;
  heard.rejected = parser.take_request(data, head) != Http1Parser::Outcome::kComplete;
  if (heard.rejected) return;
  heard.method = head.method_name;
  heard.target = head.target;
  heard.path = head.path;
  heard.query = head.query;
  heard.authority = head.authority;
  heard.upgrade = head.upgrade;
  heard.version = head.version;
  heard.fields = texts_of(head.fields);
  heard.body = head.body;
  heard.content_length = head.content_length;
}

inline void tell_response(Http1Parser& parser, const char* data, Method method, Heard& heard) {
  ResponseHead head;
  heard.rejected = parser.take_response(data, method, head) != Http1Parser::Outcome::kComplete;
  if (heard.rejected) return;
  heard.status = head.status;
  heard.fields = texts_of(head.fields);
  heard.body = parser.body_kind();
  heard.length_told = head.content_length.has_value();
  heard.content_length = head.content_length.value_or(0);
}

/// Every look gets a block of its own, just as large as what has arrived, so that a view kept from the one before, or a
/// byte read beyond the end, is seen by the sanitizers.
inline Heard hear(Http1Parser::Kind kind, std::string_view bytes, const Cuts& cuts, HeadLimits limits,
                  Method method = Method::kGet) {
  Http1Parser parser(kind, limits);
  Heard heard;
  std::unique_ptr<char[]> block;
  for (const std::size_t arrived : cuts) {
    block = std::make_unique<char[]>(arrived);
    if (arrived > 0) std::memcpy(block.get(), bytes.data(), arrived);
    const auto outcome = parser.parse_head(block.get(), arrived);
    if (outcome == Http1Parser::Outcome::kNeedMore) continue;
    if (outcome == Http1Parser::Outcome::kRejected) return refusal(parser);
    heard.complete = true;
    heard.head_size = parser.head_size();
    if (kind == Http1Parser::Kind::kRequest) {
      tell_request(parser, block.get(), heard);
    } else {
      tell_response(parser, block.get(), method, heard);
    }
    if (heard.rejected) return refusal(parser);
    heard.keep_alive = parser.keep_alive();
    heard.expects_continue = parser.expects_continue();
    return heard;
  }
  return heard;
}

/// A chunked body as it was decoded.
struct Decoding {
  bool ok = true;
  bool finished = false;
  std::string reason;
  std::string content;
  std::size_t consumed = 0;
  FieldTexts trailers;
  friend bool operator==(const Decoding&, const Decoding&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Decoding& decoding) {
  out << (decoding.ok ? (decoding.finished ? "finished" : "goes on") : decoding.reason) << " after "
      << decoding.consumed << ": '" << decoding.content.substr(0, 80) << "'";
  for (const auto& [name, value] : decoding.trailers) out << " [" << name << "=" << value << "]";
  return out;
}

/// Decodes piece by piece, as reads into blocks of their own would give them. A failure keeps no content: how much of
/// it is given out before depends on the pieces.
inline Decoding decode(std::string_view body, const Cuts& cuts, HeadLimits limits = {}) {
  constexpr std::string_view kHead = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  Http1Parser parser(Http1Parser::Kind::kRequest, limits);
  RequestHead head;
  parser.parse_head(kHead.data(), kHead.size());
  parser.take_request(kHead.data(), head);
  Decoding decoding;
  std::size_t from = 0;
  for (const std::size_t arrived : cuts) {
    const std::size_t size = arrived - from;
    const auto block = std::make_unique<char[]>(size);
    if (size > 0) std::memcpy(block.get(), body.data() + from, size);
    const auto decoded = parser.decode_chunked(block.get(), size);
    if (!decoded.ok) {
      Decoding failed;
      failed.ok = false;
      failed.reason = parser.rejection().reason;
      return failed;
    }
    decoding.content.append(block.get(), decoded.produced);
    decoding.consumed += decoded.consumed;
    from = arrived;
    if (!decoded.finished) continue;
    decoding.finished = true;
    decoding.trailers = texts_of(parser.trailers());
    return decoding;
  }
  return decoding;
}

}  // namespace headgate::http
