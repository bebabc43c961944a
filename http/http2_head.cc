// SPDX-License-Identifier: Apache-2.0
#include "http/http2_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "http/http1_writer.h"
#include "http/target.h"

namespace headgate::http {
namespace {

constexpr std::size_t kFieldOverhead = 32;  // RFC 9113 section 6.5.2

std::string_view text_of(nghttp2_rcbuf* buffer) {
  const nghttp2_vec bytes = nghttp2_rcbuf_get_buf(buffer);
  return {reinterpret_cast<const char*>(bytes.base), bytes.len};
}

std::string_view* pseudo_of(Http2Pseudo& pseudo, std::string_view name) {
  if (name == ":path") return &pseudo.path;
  if (name == ":method") return &pseudo.method;
  if (name == ":scheme") return &pseudo.scheme;
  if (name == ":authority") return &pseudo.authority;
  if (name == ":protocol") return &pseudo.protocol;
  if (name == ":status") return &pseudo.status;
  return nullptr;
}

Rejection over_limit(Http2HeadReader::Verdict verdict) {
  switch (verdict) {
    case Http2HeadReader::Verdict::kTargetTooLong:
      return {414, "uri_too_long", "the request target is too long (limits.max_header_bytes)"};
    case Http2HeadReader::Verdict::kTooMany:
      return {431, "too_many_headers", "more header fields than limits.max_headers"};
    default:
      return {431, "header_too_large", "the request head is larger than limits.max_header_bytes"};
  }
}

/// RFC 9113 section 8.2.3: crumbs of a cookie become one field again, since HTTP/1 knows no crumbs.
void join_cookies(Fields& fields, Arena& arena) {
  std::size_t count = 0;
  std::size_t size = 0;
  for (const auto& field : fields) {
    if (field.id != FieldId::kCookie) continue;
    ++count;
    size += field.value.size() + 2;
  }
  if (count < 2) return;
  char* const text = arena.allocate(size);
  char* out = text;
  Field* first = nullptr;
  for (auto& field : fields) {
    if (field.id != FieldId::kCookie) continue;
    if (first == nullptr) {
      first = &field;
    } else {
      *out++ = ';';
      *out++ = ' ';
    }
    out = std::copy(field.value.begin(), field.value.end(), out);
  }
  first->value = {text, static_cast<std::size_t>(out - text)};
  auto& list = fields.list();
  list.erase(std::remove_if(list.begin(), list.end(),
                            [&](const Field& field) { return field.id == FieldId::kCookie && &field != first; }),
             list.end());
}

/// RFC 9113 section 8.3.1. The model has a Host field whatever carried the name.
std::optional<Rejection> check_authority(const Http2Pseudo& pseudo, RequestHead& head) {
  const auto host = head.fields.get(FieldId::kHost);
  head.authority = pseudo.authority.data() != nullptr ? pseudo.authority : host.value_or(std::string_view());
  if (head.authority.empty()) return Rejection{400, "missing_host", "neither :authority nor Host"};
  if (!is_authority(head.authority)) return Rejection{400, "bad_host", ":authority is not host[:port]"};
  if (host && !iequals(*host, head.authority)) {
    return Rejection{400, "host_mismatch", ":authority is not what Host says"};
  }
  if (!host) head.fields.add(FieldId::kHost, field_name(FieldId::kHost), head.authority);
  return std::nullopt;
}

std::optional<Rejection> check_target(const Http2Pseudo& pseudo, RequestHead& head) {
  head.target = pseudo.path;
  if (head.target == "*" && head.method == Method::kOptions) {
    head.path = head.target;
    return std::nullopt;
  }
  if (!head.target.starts_with('/')) return Rejection{400, "bad_target", ":path does not begin with a slash"};
  if (!split_target(head)) return Rejection{400, "bad_target", "a fragment in the target"};
  return std::nullopt;
}

/// nghttp2 has refused lengths that are repeated or no numbers, and compares the content with them.
void settle_body(RequestHead& head, bool ended) {
  if (ended) return;
  head.body = BodyKind::kChunked;
  if (const auto text = head.fields.get(FieldId::kContentLength)) {
    std::from_chars(text->data(), text->data() + text->size(), head.content_length);
    head.body = head.content_length == 0 ? BodyKind::kNone : BodyKind::kLength;
  }
}

// --- to the wire --------------------------------------------------------------------------------------------------

/// What belongs to one connection, or is written by us.
bool stays_here(FieldId id) {
  switch (id) {
    case FieldId::kConnection:
    case FieldId::kContentLength:
    case FieldId::kHttp2Settings:
    case FieldId::kKeepAlive:
    case FieldId::kProxyConnection:
    case FieldId::kTe:
    case FieldId::kTransferEncoding:
    case FieldId::kUpgrade:
      return true;
    default:
      return false;
  }
}

/// Fields with their texts, in two pieces of the arena.
class Block {
 public:
  Block(Arena& arena, std::size_t fields, std::size_t bytes)
      : list_(reinterpret_cast<nghttp2_nv*>(arena.allocate(fields * sizeof(nghttp2_nv)))),
        text_(bytes > 0 ? arena.allocate(bytes) : nullptr) {}

  /// Texts that live long enough.
  void add(std::string_view name, std::string_view value) {
    auto* const name_bytes = reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data()));
    auto* const value_bytes = reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data()));
    constexpr std::uint8_t kFlags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    list_[count_++] = {name_bytes, value_bytes, name.size(), value.size(), kFlags};
  }

  std::string_view keep(std::string_view text) {
    char* const begin = text_;
    text_ = std::copy(text.begin(), text.end(), text_);
    return {begin, text.size()};
  }
  std::string_view keep_number(std::uint64_t number) {
    char* const begin = text_;
    text_ = std::to_chars(text_, text_ + 20, number).ptr;
    return {begin, static_cast<std::size_t>(text_ - begin)};
  }
  std::string_view keep_lower(std::string_view text) {
    char* const begin = text_;
    text_ = std::transform(text.begin(), text.end(), text_,
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    return {begin, text.size()};
  }

  void add_copy(const Field& field) {
    const auto name = field.id != FieldId::kOther ? field_name(field.id) : keep_lower(field.name);
    add(name, keep(field.value));
  }

  std::span<nghttp2_nv> fields() { return {list_, count_}; }

 private:
  nghttp2_nv* list_;
  char* text_;
  std::size_t count_ = 0;
};

std::size_t text_size(const Fields& fields) {
  std::size_t size = 0;
  for (const auto& field : fields) size += field.name.size() + field.value.size();
  return size;
}

/// The value of our Date field: the line's text without name and end.
std::string_view date_value() {
  constexpr std::size_t kName = std::string_view("Date: ").size();
  const auto line = date_field();
  return line.substr(kName, line.size() - kName - 2);
}

}  // namespace

void Http2HeadReader::add(nghttp2_rcbuf* name_buffer, nghttp2_rcbuf* value_buffer) {
  const auto name = text_of(name_buffer);
  const auto value = text_of(value_buffer);
  bytes_ += name.size() + value.size() + kFieldOverhead;
  if (verdict_ != Verdict::kWithin) return;
  const bool pseudo = name.starts_with(':');
  if (bytes_ > max_bytes_) {
    verdict_ = name == ":path" ? Verdict::kTargetTooLong : Verdict::kTooLarge;
    return;
  }
  if (!pseudo && fields_.size() >= max_fields_) {
    verdict_ = Verdict::kTooMany;
    return;
  }
  const bool lasting_name = pseudo || nghttp2_rcbuf_is_static(name_buffer) != 0;
  const std::size_t name_size = lasting_name ? 0 : name.size();
  char* const text = arena_.allocate(name_size + value.size() + 1);
  std::copy(value.begin(), value.end(), text);
  const std::string_view kept(text, value.size());
  if (pseudo) {
    if (auto* const field = pseudo_of(pseudo_, name)) *field = kept;
    return;
  }
  if (lasting_name) {
    fields_.add(name, kept);
  } else {
    std::copy(name.begin(), name.end(), text + value.size());
    fields_.add({text + value.size(), name_size}, kept);
  }
}

std::optional<Rejection> check_request(const Http2HeadReader& read, bool ended, RequestHead& head, Arena& arena) {
  const Http2Pseudo& pseudo = read.pseudo();
  head.version = Version::kHttp2;
  head.method_name = pseudo.method;
  head.method = method_of(pseudo.method);
  head.target = pseudo.path;
  if (read.verdict() != Http2HeadReader::Verdict::kWithin) {
    head.target = head.target.substr(0, 1024);
    return over_limit(read.verdict());
  }
  if (head.method == Method::kConnect) {
    if (pseudo.protocol.data() == nullptr) {
      head.target = head.authority = pseudo.authority;
      return Rejection{501, "connect_not_implemented", "CONNECT is not offered here"};
    }
    // RFC 8441: what HTTP/1 says with GET and Upgrade. Its content is the tunnel's, not the request's.
    head.method = Method::kGet;
    head.method_name = "GET";
    head.upgrade = pseudo.protocol;
    if (!is_token(head.upgrade)) return Rejection{400, "bad_protocol", ":protocol is not a token"};
    ended = true;
  }
  if (pseudo.scheme != "http" && pseudo.scheme != "https") {
    return Rejection{400, "bad_scheme", ":scheme is neither http nor https"};
  }
  if (auto rejection = check_authority(pseudo, head)) return rejection;
  if (auto rejection = check_target(pseudo, head)) return rejection;
  join_cookies(head.fields, arena);
  settle_body(head, ended);
  const auto expect = head.fields.get(FieldId::kExpect);
  if (expect && !iequals(*expect, "100-continue")) {
    return Rejection{417, "expectation_failed", "only 100-continue is understood"};
  }
  return std::nullopt;
}

std::span<nghttp2_nv> response_block(const ResponseHead& head, int status, Arena& arena) {
  constexpr std::size_t kNumbers = 2 * 20;
  Block block(arena, head.fields.size() + 3, text_size(head.fields) + kNumbers);
  block.add(":status", status == 200 ? std::string_view("200") : block.keep_number(static_cast<std::uint64_t>(status)));
  for (const auto& field : head.fields) {
    if (!stays_here(field.id)) block.add_copy(field);
  }
  if (status >= 200) {
    if (!head.fields.has(FieldId::kDate)) block.add(field_name(FieldId::kDate), date_value());
    if (head.content_length && status != 204) {
      block.add(field_name(FieldId::kContentLength), block.keep_number(*head.content_length));
    }
  }
  return block.fields();
}

bool check_response(const Http2HeadReader& read, ResponseHead& head) {
  const std::string_view status = read.pseudo().status;
  const char* const end = status.data() + status.size();
  const auto parsed = std::from_chars(status.data(), end, head.status);
  if (parsed.ec != std::errc() || parsed.ptr != end || head.status < 100 || head.status > 999) return false;
  head.content_length.reset();
  if (const auto text = head.fields.get(FieldId::kContentLength)) {
    std::uint64_t length = 0;
    std::from_chars(text->data(), text->data() + text->size(), length);
    head.content_length = length;
  }
  return true;
}

std::span<nghttp2_nv> request_block(const RequestHead& head, std::string_view scheme, Arena& arena) {
  constexpr std::size_t kOwnFields = 6;
  const std::size_t own = head.method_name.size() + head.target.size() + head.authority.size();
  Block block(arena, head.fields.size() + kOwnFields, text_size(head.fields) + own + 20);
  block.add(":method", block.keep(head.method_name));
  block.add(":scheme", scheme);
  block.add(":authority", block.keep(head.authority));
  block.add(":path", block.keep(head.target));
  for (const auto& field : head.fields) {
    if (!stays_here(field.id)) block.add_copy(field);
  }
  if (head.takes_trailers) block.add(field_name(FieldId::kTe), "trailers");
  if (head.body == BodyKind::kLength) {
    block.add(field_name(FieldId::kContentLength), block.keep_number(head.content_length));
  }
  return block.fields();
}

std::span<nghttp2_nv> trailer_block(const Fields& trailers, Arena& arena) {
  Block block(arena, trailers.size() + 1, text_size(trailers));
  for (const auto& field : trailers) {
    if (may_be_trailer(field.id) && !stays_here(field.id)) block.add_copy(field);
  }
  return block.fields();
}

}  // namespace headgate::http
