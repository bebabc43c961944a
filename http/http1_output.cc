// SPDX-License-Identifier: Apache-2.0
#include "http/http1_output.h"

namespace headgate::http {
namespace {

/// Content up to this size is copied behind its head: that costs less than a second piece for the kernel to gather.
constexpr std::size_t kCopied = 2048;
constexpr std::string_view kCrlf = "\r\n";
constexpr std::string_view kEnd = "0\r\n\r\n";
constexpr std::string_view kEndAfterChunk = "\r\n0\r\n\r\n";

iovec piece(std::string_view text) {
  return {const_cast<char*>(text.data()), text.size()};
}

std::string_view text_of(std::span<const char> data) {
  return {data.data(), data.size()};
}

}  // namespace

Http1Output::Framed Http1Output::frame(const ChunkHead& chunk, std::span<const char> data, Framing framing, bool last) {
  if (framing == Framing::kPlain) return {{}, data, {}};
  if (data.empty()) return {{}, {}, last ? kEnd : std::string_view()};
  return {chunk.text(), data, last ? kEndAfterChunk : kCrlf};
}

Http1Output::Pieces Http1Output::gather(const Framed& content) {
  Pieces pieces;
  if (!buffered.empty()) pieces.push_back({buffered.data(), buffered.size()});
  for (const auto text : {content.before, text_of(content.data), content.after}) {
    if (!text.empty()) pieces.push_back(piece(text));
  }
  return pieces;
}

/// Nearly always the stream takes all of it at once.
Task<Result<>> Http1Output::write(std::span<const char> data, Framing framing, bool last, Duration idle) {
  const ChunkHead chunk(data.size());
  Framed content = frame(chunk, data, framing, last);
  if (data.size() <= kCopied && (!buffered.empty() || framing == Framing::kChunked)) {
    buffered.append_all(content.before, text_of(content.data), content.after);
    content = {};
  }
  const Pieces pieces = gather(content);
  if (pieces.empty()) return Result<>();
  const IoResult put = stream_.try_write({pieces.data(), pieces.size()});
  if (put.kind == IoResult::Kind::kError) return put.error;
  std::size_t whole = 0;
  for (const auto& one : pieces) whole += one.iov_len;
  if (put.bytes < whole) return write_rest(chunk, content, put.bytes, idle);
  buffered.clear();
  return Result<>();
}

/// What the stream did not take, from the byte after `sent`.
Task<Result<>> Http1Output::write_rest(ChunkHead chunk, Framed content, std::size_t sent, Duration idle) {
  if (!content.before.empty()) content.before = chunk.text();
  Pieces pieces = gather(content);
  const auto rest = consume({pieces.data(), pieces.size()}, sent);
  waiting_ = true;
  const auto done = co_await write_all(stream_, rest, loop_, idle, side_);
  waiting_ = false;
  if (!done) co_return done.error();
  buffered.clear();
  co_return Result<>();
}

}  // namespace headgate::http
