// SPDX-License-Identifier: Apache-2.0
// HTTP/1 heads and chunk framing to bytes. What is written comes from the parsed model alone.
#pragma once

#include <array>

#include "base/byte_writer.h"
#include "http/message.h"

namespace headgate::http {

/// Status line and fields, without framing and without the empty line. Fields that frame a message or belong to one
/// connection (Content-Length, Transfer-Encoding, Connection, Keep-Alive, and Upgrade but in a 101) are left out.
void write_response_head(const ResponseHead& head, ByteWriter& out);

void write_field(std::string_view name, std::string_view value, ByteWriter& out);

/// "Date: ...\r\n" of the current second; valid until the next call on this thread.
std::string_view date_field();

/// "1a\r\n" before a chunk.
class ChunkHead {
 public:
  explicit ChunkHead(std::size_t size);
  std::string_view text() const { return {text_.data(), size_}; }

 private:
  std::array<char, 18> text_;
  std::size_t size_;
};

/// The last chunk, trailers and the empty line. Fields that frame or route a message are no trailers.
void write_last_chunk(const Fields* trailers, ByteWriter& out);

}  // namespace headgate::http
