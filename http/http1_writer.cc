// SPDX-License-Identifier: Apache-2.0
#include "http/http1_writer.h"

#include <algorithm>
#include <charconv>
#include <ctime>

#include "http/date.h"

namespace headgate::http {
namespace {

constexpr std::string_view kCrlf = "\r\n";

bool is_framing(FieldId id) {
  return id == FieldId::kContentLength || id == FieldId::kTransferEncoding || id == FieldId::kConnection ||
         id == FieldId::kKeepAlive;
}

}  // namespace

void write_field(std::string_view name, std::string_view value, ByteWriter& out) {
  const char* const behind = name.data() + name.size();
  if (value.data() == behind + 2 && behind[0] == ':' && behind[1] == ' ') {
    // It came over HTTP/1, and lies there as it goes out: one copy does.
    out.append_all(std::string_view(name.data(), name.size() + 2 + value.size()), kCrlf);
  } else {
    out.append_all(name, ": ", value, kCrlf);
  }
}

void write_response_head(const ResponseHead& head, ByteWriter& out) {
  if (head.status == 200) {
    out.append("HTTP/1.1 200 OK\r\n");
  } else {
    out.append("HTTP/1.1 ");
    out.append_number(static_cast<std::uint64_t>(head.status));
    out.append_all(" ", reason_phrase(head.status), "\r\n");
  }
  for (const auto& field : head.fields) {
    if (is_framing(field.id) || (field.id == FieldId::kUpgrade && head.status != 101)) continue;
    write_field(field.name, field.value, out);
  }
}

std::string_view date_field() {
  constexpr std::string_view kName = "Date: ";
  constexpr std::string_view kEnd = "\r\n";
  thread_local std::time_t cached = 0;
  thread_local std::array<char, kName.size() + HttpDate::kLength + kEnd.size()> text;
  const std::time_t now = std::time(nullptr);
  if (now != cached) {
    const HttpDate date(now);
    char* out = std::copy(kName.begin(), kName.end(), text.data());
    out = std::copy(date.text().begin(), date.text().end(), out);
    std::copy(kEnd.begin(), kEnd.end(), out);
    cached = now;
  }
  return {text.data(), text.size()};
}

ChunkHead::ChunkHead(std::size_t size) {
  char* end = std::to_chars(text_.data(), text_.data() + 16, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  size_ = static_cast<std::size_t>(end - text_.data());
}

void write_last_chunk(const Fields* trailers, ByteWriter& out) {
  out.append("0\r\n");
  if (trailers != nullptr) {
    for (const auto& field : *trailers) {
      if (may_be_trailer(field.id)) write_field(field.name, field.value, out);
    }
  }
  out.append("\r\n");
}

}  // namespace headgate::http
