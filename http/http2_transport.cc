// SPDX-License-Identifier: Apache-2.0
#include "http/http2_transport.h"

#include <algorithm>
#include <cstring>

namespace headgate::http {
namespace {

/// Blocks that one connection sends before the others have their turn.
constexpr unsigned kBlocksPerTurn = 4;

}  // namespace

Http2Transport::Http2Transport(Loop& loop, ByteStream& stream, Side side)
    : loop_(loop), stream_(stream), side_(side), due_(loop), progress_(loop) {}

void Http2Transport::fail(const Error& error) {
  if (failed_) return;
  failed_ = true;
  error_ = error;
  begin_ = end_ = 0;
  held_ = {};
  block_.release();
  progress_.set();
  // The reader may be waiting for bytes that will not come.
  stream_.interrupt_read();
}

char* Http2Transport::reserve() {
  if (!block_) block_ = loop_.buffers().take(BufferPool::kLarge);
  return block_.data() + end_;
}

void Http2Transport::append(const void* data, std::size_t size) {
  std::memcpy(reserve(), data, size);
  claim(size);
}

void Http2Transport::pack() {
  if (failed_) return;
  if (!held_.empty()) {
    const auto fits = std::min(held_.size(), room());
    append(held_.data(), fits);
    held_.remove_prefix(fits);
    if (!held_.empty()) return;
  }
  while (room() >= kLeastRoom) {
    const std::uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) return fail({Errc::kInternal, Side::kInternal, "http2_out_of_memory"});
    if (size == 0) return;
    const auto fits = std::min(static_cast<std::size_t>(size), room());
    append(data, fits);
    held_ = {reinterpret_cast<const char*>(data) + fits, static_cast<std::size_t>(size) - fits};
    if (!held_.empty()) return;
  }
}

void Http2Transport::send_soon() {
  if (corked_ == 0) due_.set();
}

void Http2Transport::push() {
  pack();
  if (!empty()) send_soon();
}

Http2Transport::Round Http2Transport::write_round() {
  for (unsigned blocks = 0; blocks < kBlocksPerTurn; ++blocks) {
    pack();
    if (failed_) return Round::kFailed;
    if (empty()) return Round::kIdle;
    while (begin_ < end_) {
      const iovec piece{block_.data() + begin_, end_ - begin_};
      const IoResult put = stream_.try_write({&piece, 1});
      if (put.kind == IoResult::Kind::kWouldBlock) return Round::kBlocked;
      if (put.kind != IoResult::Kind::kOk) {
        fail(put.error);
        return Round::kFailed;
      }
      begin_ += put.bytes;
    }
    begin_ = end_ = 0;
  }
  return Round::kMore;
}

void Http2Transport::send_now() {
  if (failed_ || blocked_) return;
  switch (write_round()) {
    case Round::kIdle:
      block_.release();
      break;
    case Round::kFailed:
      break;
    case Round::kBlocked:
      blocked_ = true;
      due_.set();
      break;
    case Round::kMore:
      due_.set();
      break;
  }
}

Task<> Http2Transport::run_writer() {
  for (;;) {
    const Wake due = co_await due_.wait(kNoDeadline);
    if (due == Wake::kCancelled || failed_) co_return;
    due_.clear();
    for (;;) {
      const Round round = write_round();
      blocked_ = round == Round::kBlocked;
      progress_.set();
      if (round == Round::kFailed) co_return;
      if (round == Round::kIdle) break;
      if (round == Round::kMore) {
        co_await loop_.yield();
        continue;
      }
      const Wake wake = co_await stream_.wait_write(deadline_after(loop_.now(), stall_limit_));
      if (wake == Wake::kTimeout) fail({Errc::kTimeout, side_, "send_timeout"});
      if (wake == Wake::kCancelled) fail(stream_error(wake, side_));
      if (wake != Wake::kReady) co_return;
    }
    block_.release();
  }
}

Task<> Http2Transport::drained(TimePoint deadline) {
  for (;;) {
    send_now();
    if (failed_ || empty()) co_return;
    progress_.clear();
    const Wake wake = co_await progress_.wait(deadline);
    if (wake != Wake::kReady) co_return;
  }
}

}  // namespace headgate::http
