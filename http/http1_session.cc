// SPDX-License-Identifier: Apache-2.0
#include "http/http1_session.h"

#include <algorithm>
#include <cstring>

#include "http/http1_exchange.h"

namespace headgate::http {
namespace {

// How long, and for how much, a client that still sends is listened to after our last byte, so that it reads the
// answer before the connection is reset under it.
constexpr Duration kLingerIdle = std::chrono::seconds(2);
constexpr Duration kLingerTotal = std::chrono::seconds(15);
/// Requests that a client has sent ahead are served in a row up to this many, then the others have their turn.
constexpr std::uint64_t kRequestsPerTurn = 64;

}  // namespace

Http1Session::Http1Session(Loop& loop, ByteStream& stream, const ConnectionInfo& connection, Handler& handler)
    : loop_(loop), stream_(stream), connection_(connection), handler_(handler), limits_(handler.session_limits()) {}

Task<bool> Http1Session::run() {
  // Waiting for a request is written out here: a coroutine of its own would cost each request a frame.
  for (;;) {
    if (!take_ahead()) {
      const Duration patience = served_ == 0 ? limits_.header_timeout : limits_.keepalive_timeout;
      const TimePoint deadline = deadline_after(loop_.now(), patience);
      Arrival arrival;
      while ((arrival = try_arrival(deadline)) == Arrival::kNone) {
        idle_ = true;
        const Wake wake = co_await stream_.wait_read(deadline);
        idle_ = false;
        const bool interrupted = wake == Wake::kCancelled && draining_ && served_ > 0;
        if (wake != Wake::kReady && !interrupted) co_return !broken_off_;
      }
      if (arrival == Arrival::kOver) break;
    }
    const bool keep = co_await serve_one();
    if (!keep) break;
    if (++served_ % kRequestsPerTurn == 0) co_await loop_.yield();
    limits_ = handler_.session_limits();
  }
  co_return !broken_off_;
}

void Http1Session::drain() {
  ending_ = true;
  draining_ = true;
  // Not cancelled: a request that has arrived meanwhile is read and answered.
  if (idle_ && served_ > 0) stream_.interrupt_read();
}

/// True when bytes of the next request have come with the last one.
bool Http1Session::take_ahead() {
  if (begin_ == end_) return false;
  head_deadline_ = deadline_after(loop_.now(), limits_.header_timeout);
  return true;
}

/// One attempt to read the first bytes of a request. Its block is given back when nothing came: an idle connection
/// holds no buffer.
Http1Session::Arrival Http1Session::try_arrival(TimePoint deadline) {
  IoResult got = IoResult::would_block();
  if (stream_.may_read()) {
    if (in_.size() != BufferPool::kSmall) in_ = loop_.buffers().take(BufferPool::kSmall);
    got = stream_.try_read({in_.data(), in_.size()});
  }
  if (got.kind == IoResult::Kind::kOk) {
    begin_ = 0;
    end_ = got.bytes;
    // A new connection has one deadline for its silence and its first head together.
    head_deadline_ = served_ == 0 ? deadline : deadline_after(loop_.now(), limits_.header_timeout);
    return Arrival::kBytes;
  }
  in_.release();
  if (got.kind != IoResult::Kind::kWouldBlock || (draining_ && served_ > 0)) return Arrival::kOver;
  return Arrival::kNone;
}

void Http1Session::adopt(Buffer buffer, std::size_t begin, std::size_t end) {
  in_ = std::move(buffer);
  begin_ = begin;
  end_ = end;
}

/// Makes room behind end_; the bytes move to the beginning of the block. False at the limit.
bool Http1Session::make_room() {
  if (end_ < in_.size()) return true;
  const std::size_t size = end_ - begin_;
  if (begin_ > 0) {
    std::memmove(in_.data(), in_.data() + begin_, size);
  } else {
    if (size >= limits_.max_header_bytes) return false;
    Buffer larger = loop_.buffers().take(std::min(in_.size() * 4, std::max(limits_.max_header_bytes, in_.size() + 1)));
    std::memcpy(larger.data(), in_.data(), size);
    in_ = std::move(larger);
  }
  begin_ = 0;
  end_ = size;
  return true;
}

Task<bool> Http1Session::serve_one() {
  Http1Parser parser(Http1Parser::Kind::kRequest, {limits_.max_header_bytes, limits_.max_headers});
  auto outcome = parser.parse_head(in_.data() + begin_, end_ - begin_);
  while (outcome == Http1Parser::Outcome::kNeedMore) {
    make_room();
    const auto got =
        co_await read_some(stream_, {in_.data() + end_, in_.size() - end_}, head_deadline_, Side::kDownstream);
    if (!got || *got == 0) {
      // Only a client that is still there and too slow gets an answer.
      if (got || got.error().code != Errc::kTimeout) co_return false;
      outcome = parser.reject(408, "header_timeout", "the request head did not arrive in time");
      break;
    }
    end_ += *got;
    outcome = parser.parse_head(in_.data() + begin_, end_ - begin_);
  }
  H1Exchange exchange(*this, parser);
  if (outcome == Http1Parser::Outcome::kComplete) outcome = parser.take_request(in_.data() + begin_, exchange.request);
  if (outcome == Http1Parser::Outcome::kRejected) {
    exchange.describe_rejected({in_.data() + begin_, end_ - begin_});
    co_await handler_.refuse(exchange, parser.rejection());
    co_await linger();
    co_return false;
  }
  begin_ += parser.head_size();
  exchange.begin_body();
  co_await handler_.handle(exchange);
  const auto end = co_await exchange.conclude();
  if (end == H1Exchange::End::kLinger) co_await linger();
  broken_off_ = end == H1Exchange::End::kBrokenOff;
  co_return end == H1Exchange::End::kKeepAlive;
}

Task<> Http1Session::linger() {
  stream_.shutdown_write();
  const TimePoint latest = loop_.now() + kLingerTotal;
  Buffer sink = loop_.buffers().take(BufferPool::kMedium);
  while (loop_.now() < latest) {
    const TimePoint deadline = std::min(latest, loop_.now() + kLingerIdle);
    const auto got = co_await read_some(stream_, {sink.data(), sink.size()}, deadline, Side::kDownstream);
    if (!got || *got == 0) co_return;
    co_await loop_.yield();
  }
}

}  // namespace headgate::http
