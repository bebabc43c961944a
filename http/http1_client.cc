// SPDX-License-Identifier: Apache-2.0
#include "http/http1_client.h"

#include <algorithm>
#include <cstring>

namespace headgate::http {
namespace {

constexpr HeadLimits kOriginLimits{kMaxOriginHead, kMaxOriginFields};

}  // namespace

Http1ClientExchange::Http1ClientExchange(Loop& loop, ByteStream& stream, Duration idle)
    : loop_(loop),
      stream_(stream),
      idle_(idle),
      out_(loop, stream, Side::kUpstream),
      parser_(Http1Parser::Kind::kResponse, kOriginLimits) {}

// --- the request --------------------------------------------------------------------------------------------------

void Http1ClientExchange::start(const RequestHead& head) {
  method_ = head.method;
  ByteWriter& out = out_.buffered;
  out.append_all(head.method_name, " ", head.target, " HTTP/1.1\r\nHost: ", head.authority, "\r\n");
  for (const auto& field : head.fields) write_field(field.name, field.value, out);
  chunked_ = head.body == BodyKind::kChunked;
  if (chunked_) {
    out.append("Transfer-Encoding: chunked\r\n");
  } else if (head.body == BodyKind::kLength) {
    out.append("Content-Length: ");
    out.append_number(head.content_length);
    out.append("\r\n");
  } else if (head.method == Method::kPost || head.method == Method::kPut || head.method == Method::kPatch) {
    out.append("Content-Length: 0\r\n");  // RFC 9110 section 8.6: these expect content
  }
  if (!head.upgrade.empty()) out.append_all("Connection: upgrade\r\nUpgrade: ", head.upgrade, "\r\n");
  out.append("\r\n");
}

Task<Result<>> Http1ClientExchange::write(std::span<const char> data, bool last) {
  const auto framing = chunked_ ? Http1Output::Framing::kChunked : Http1Output::Framing::kPlain;
  auto writing = out_.write(data, framing, last, idle_);
  if (!last) return writing;
  if (!writing.done()) return await_end(std::move(writing));
  const auto sent = writing.take();
  sent_ = sent.has_value();
  return sent;
}

Task<Result<>> Http1ClientExchange::await_end(Task<Result<>> writing) {
  const auto sent = co_await writing;
  sent_ = sent.has_value();
  co_return sent;
}

Task<Result<>> Http1ClientExchange::finish(const Fields* trailers) {
  if (chunked_ && trailers != nullptr && !trailers->empty()) {
    write_last_chunk(trailers, out_.buffered);
    chunked_ = false;
  }
  return write({}, true);
}

// --- the answer ---------------------------------------------------------------------------------------------------

/// One attempt to read into the free part of the block; takes a block of at least `block` bytes when there is none,
/// and gives an empty one back when nothing came, so that waiting holds no memory.
Http1ClientExchange::Filled Http1ClientExchange::fill(std::size_t block) {
  // A socket tells of a reset once; what it says afterwards looks like an end, and a cut answer like a whole one.
  if (failed_) return Filled::kFailed;
  if (!stream_.may_read()) {
    if (begin_ == end_) in_.release();
    return Filled::kNothing;
  }
  if (!in_) in_ = loop_.buffers().take(block);
  if (begin_ == end_) begin_ = end_ = 0;  // an interim head may have filled the block to its end
  const IoResult got = stream_.try_read({in_.data() + end_, in_.size() - end_});
  switch (got.kind) {
    case IoResult::Kind::kOk:
      end_ += got.bytes;
      filled_up_ = end_ == in_.size();
      answered_ = true;
      return Filled::kBytes;
    case IoResult::Kind::kWouldBlock:
      if (begin_ == end_) in_.release();
      return Filled::kNothing;
    case IoResult::Kind::kEof:
      return Filled::kEnd;
    case IoResult::Kind::kError:
      failure_ = got.error;
      failed_ = true;
      return Filled::kFailed;
  }
  return Filled::kFailed;
}

/// What a wait for the origin came to: nothing when it may be tried again.
std::optional<Error> Http1ClientExchange::failed_wait(Wake wake) {
  if (wake == Wake::kReady) return std::nullopt;
  if (wake == Wake::kTimeout) return Error{Errc::kTimeout, Side::kUpstream, "upstream_timeout"};
  return stream_error(wake, Side::kUpstream);
}

Task<Result<ResponseHead*>> Http1ClientExchange::read_head(TimePoint deadline) {
  for (;;) {
    if (begin_ < end_) {
      const auto outcome = take_head();
      if (!outcome) co_return outcome.error();
      if (*outcome) co_return &head_;
    }
    Filled filled;
    while ((filled = fill(BufferPool::kMedium)) == Filled::kNothing) {
      const auto failure = failed_wait(co_await stream_.wait_read(deadline));
      if (failure) co_return *failure;
    }
    if (filled == Filled::kFailed) co_return failure_;
    if (filled == Filled::kEnd) co_return Error{Errc::kClosed, Side::kUpstream, "upstream_closed"};
  }
}

/// False: more of it must come first; there is room for it then.
Result<bool> Http1ClientExchange::take_head() {
  if (head_taken_) parser_.reset();
  head_taken_ = false;
  auto outcome = parser_.parse_head(in_.data() + begin_, end_ - begin_);
  if (outcome == Http1Parser::Outcome::kComplete) {
    head_.fields.clear();
    outcome = parser_.take_response(in_.data() + begin_, method_, head_);
  }
  if (outcome == Http1Parser::Outcome::kRejected) {
    const bool large = parser_.rejection().status == 431;
    return Error{large ? Errc::kTooLarge : Errc::kBadMessage, Side::kUpstream,
                 large ? "upstream_header_too_large" : "upstream_bad_response"};
  }
  if (outcome == Http1Parser::Outcome::kComplete) {
    begin_ += parser_.head_size();
    head_taken_ = true;
    if (!begin_response()) return Error{Errc::kBadMessage, Side::kUpstream, "upstream_bad_response"};
    return true;
  }
  if (end_ == in_.size()) {
    const std::size_t size = end_ - begin_;
    Buffer larger = loop_.buffers().take(std::max(in_.size() * 2, BufferPool::kLarge));
    std::memcpy(larger.data(), in_.data() + begin_, size);
    in_ = std::move(larger);
    begin_ = 0;
    end_ = size;
  }
  return false;
}

/// False when the origin floods us with interim heads.
bool Http1ClientExchange::begin_response() {
  if (head_.status < 200 && head_.status != 101) return ++interim_ <= kMaxInterim;
  connection_over_ = !parser_.keep_alive() || head_.status == 101;
  body_left_ = parser_.content_length();
  body_finished_ = parser_.body_kind() == BodyKind::kNone;
  return true;
}

/// fill() when all that was received has been used. The block that the head came in may be too small for the rest; an
/// origin that fills its block is read in larger ones, which an eighth of the cost of a large body depends on.
Http1ClientExchange::Filled Http1ClientExchange::fill_for_body() {
  const bool counted = parser_.body_kind() == BodyKind::kLength;
  const std::uint64_t rest = counted ? body_left_ : ~std::uint64_t{0};
  const std::size_t block = rest <= BufferPool::kMedium               ? BufferPool::kMedium
                            : filled_up_ && rest > BufferPool::kLarge ? BufferPool::kHuge
                                                                      : BufferPool::kLarge;
  if (in_ && in_.size() < block) in_.release();
  return fill(block);
}

bool Http1ClientExchange::body_ready() {
  if (body_finished_ || ready_) return true;
  if (begin_ == end_) {
    // The head's fields lie in the block, but its reader has sent them on by now (read_head: valid until the next
    // read).
    const Filled filled = fill_for_body();
    if (filled == Filled::kNothing) return false;
    if (filled != Filled::kBytes) return true;  // read_body tells at once
  }
  // Chunk framing alone is nothing to wait for the head with.
  const auto content = take_body();
  if (content && content->empty() && !body_finished_) return false;
  ready_ = content;
  return true;
}

Task<Result<std::span<const char>>> Http1ClientExchange::read_body(TimePoint deadline) {
  if (!ready_) return receive_body(deadline);
  auto content = *ready_;
  ready_.reset();
  return content;
}

Task<Result<std::span<const char>>> Http1ClientExchange::receive_body(TimePoint deadline) {
  for (;;) {
    if (body_finished_) co_return std::span<const char>();
    if (begin_ == end_) {
      Filled filled;
      while ((filled = fill_for_body()) == Filled::kNothing) {
        const auto failure = failed_wait(co_await stream_.wait_read(deadline));
        if (failure) co_return *failure;
      }
      if (filled == Filled::kFailed) co_return failure_;
      if (filled == Filled::kEnd) co_return end_of_stream();
    }
    const auto content = take_body();
    if (!content || !content->empty() || body_finished_) co_return content;
  }
}

Result<std::span<const char>> Http1ClientExchange::take_body() {
  char* const data = in_.data() + begin_;
  const std::size_t size = end_ - begin_;
  switch (parser_.body_kind()) {
    case BodyKind::kLength: {
      const auto used = static_cast<std::size_t>(std::min<std::uint64_t>(size, body_left_));
      body_left_ -= used;
      body_finished_ = body_left_ == 0;
      begin_ += used;
      return std::span<const char>(data, used);
    }
    case BodyKind::kChunked: {
      const auto decoded = parser_.decode_chunked(data, size);
      if (!decoded.ok) return Error{Errc::kBadMessage, Side::kUpstream, "upstream_bad_chunk"};
      body_finished_ = decoded.finished;
      begin_ += decoded.consumed;
      return std::span<const char>(data, decoded.produced);
    }
    case BodyKind::kUntilClose:
      begin_ = end_;
      return std::span<const char>(data, size);
    case BodyKind::kNone:
      break;
  }
  body_finished_ = true;
  return std::span<const char>();
}

Result<std::span<const char>> Http1ClientExchange::end_of_stream() {
  if (parser_.body_kind() != BodyKind::kUntilClose) {
    return Error{Errc::kReset, Side::kUpstream, "upstream_truncated"};
  }
  body_finished_ = true;
  return std::span<const char>();
}

ClientExchange::Fate Http1ClientExchange::fate(const Error& error) const {
  const bool ended = error.code == Errc::kClosed || error.code == Errc::kReset;
  return ended && error.side == Side::kUpstream && !answered_ ? Fate::kLost : Fate::kUnknown;
}

bool Http1ClientExchange::reusable() const {
  return sent_ && body_finished_ && !connection_over_ && begin_ == end_;
}

ClientExchange::Tunnel Http1ClientExchange::upgrade() {
  const std::span<const char> early(in_.data() + begin_, end_ - begin_);
  begin_ = end_;
  return {&stream_, early};
}

}  // namespace headgate::http
