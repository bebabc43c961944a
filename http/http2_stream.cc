// SPDX-License-Identifier: Apache-2.0
#include "http/http2_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <unistd.h>

namespace headgate::http {
namespace {

/// A piece up to this size is packed at once; a larger one waits for the end of the turn, so that a stream that is more
/// urgent goes first (RFC 9218).
constexpr std::size_t kSmallPiece = 16 * 1024;

}  // namespace

Http2Stream::Http2Stream(Http2Transport& transport, Side side)
    : transport_(transport),
      side_(side),
      readable_(transport.loop()),
      writable_(transport.loop()),
      gone_(transport.loop()) {}

// --- what arrives -------------------------------------------------------------------------------------------------

void Http2Stream::receive(const std::uint8_t* data, std::size_t size) {
  if (discarding_) {
    give_back(size);
    return;
  }
  while (size > 0) {
    if (blocks_.empty() || blocks_.back().end == blocks_.back().buffer.size()) {
      const bool small = blocks_.empty() && size <= BufferPool::kSmall;
      blocks_.push_back({transport_.loop().buffers().take(small ? BufferPool::kSmall : BufferPool::kMedium), 0, 0});
    }
    Block& block = blocks_.back();
    const std::size_t part = std::min(size, block.buffer.size() - block.end);
    std::memcpy(block.buffer.data() + block.end, data, part);
    block.end += part;
    data += part;
    size -= part;
  }
  readable_.set();
}

void Http2Stream::receive_end() {
  receive_ended_ = true;
  readable_.set();
}

void Http2Stream::close(const Error& error) {
  if (closed_) return;
  closed_ = true;
  error_ = error;
  readable_.set();
  writable_.set();
  gone_.set();
}

// --- reading --------------------------------------------------------------------------------------------------------

/// nghttp2 sends a WINDOW_UPDATE when half of a window has been given back.
void Http2Stream::give_back(std::size_t size) {
  if (size == 0) return;
  nghttp2_session_consume(transport_.session(), id_, size);
  transport_.send_soon();
}

Task<Result<std::span<const char>>> Http2Stream::read(TimePoint deadline) {
  give_back(std::exchange(given_size_, 0));
  given_.release();
  auto piece = next_piece();
  if (piece) return *piece;
  return wait_piece(deadline);
}

/// Nothing when it has to be waited for.
std::optional<Result<std::span<const char>>> Http2Stream::next_piece() {
  if (read_cancelled_) return stream_error(Wake::kCancelled, side_);
  if (!blocks_.empty()) {
    Block block = std::move(blocks_.front());
    blocks_.erase(blocks_.begin());
    given_ = std::move(block.buffer);
    given_size_ = block.end - block.begin;
    return std::span<const char>(given_.data() + block.begin, given_size_);
  }
  if (receive_ended_) return std::span<const char>();
  if (closed_) return error_;
  return std::nullopt;
}

Task<Result<std::span<const char>>> Http2Stream::wait_piece(TimePoint deadline) {
  for (;;) {
    readable_.clear();
    const Wake wake = co_await readable_.wait(deadline);
    if (wake == Wake::kTimeout) {
      co_return Error{Errc::kTimeout, side_, side_ == Side::kUpstream ? "upstream_timeout" : "body_timeout"};
    }
    if (wake == Wake::kCancelled) co_return stream_error(wake, side_);
    const auto piece = next_piece();
    if (piece) co_return *piece;
  }
}

std::size_t Http2Stream::take(std::span<char> into) {
  std::size_t taken = 0;
  while (taken < into.size() && !blocks_.empty()) {
    Block& block = blocks_.front();
    const std::size_t part = std::min(into.size() - taken, block.end - block.begin);
    std::memcpy(into.data() + taken, block.buffer.data() + block.begin, part);
    block.begin += part;
    taken += part;
    if (block.begin == block.end) blocks_.erase(blocks_.begin());
  }
  give_back(taken);
  return taken;
}

void Http2Stream::cancel_read() {
  read_cancelled_ = true;
  readable_.interrupt();
  gone_.interrupt();
}

Task<bool> Http2Stream::departed() {
  read_cancelled_ = false;
  while (!closed_ && !read_cancelled_) co_await gone_.wait(kNoDeadline);
  co_return closed_;
}

void Http2Stream::discard_input() {
  discarding_ = true;
  std::size_t unread = std::exchange(given_size_, 0);
  for (const auto& block : blocks_) unread += block.end - block.begin;
  blocks_.clear();
  given_.release();
  give_back(unread);
}

// --- writing --------------------------------------------------------------------------------------------------------

nghttp2_data_provider Http2Stream::provider() {
  nghttp2_data_provider provider;
  provider.source.ptr = this;
  provider.read_callback = read_callback;
  return provider;
}

void Http2Stream::offered_more(bool at_once) {
  if (closed_) return;
  writable_.clear();
  if (deferred_) {
    deferred_ = false;
    nghttp2_session_resume_data(transport_.session(), id_);
  }
  if (at_once) {
    transport_.push();
  } else {
    transport_.send_soon();
  }
}

void Http2Stream::offer(std::span<const char> data, bool last) {
  data_ = data;
  file_ = -1;
  end_ = last;
  offered_more(data.size() <= kSmallPiece);
}

void Http2Stream::offer_file(int file, std::uint64_t offset, std::uint64_t count) {
  file_ = file;
  file_offset_ = offset;
  file_left_ = count;
  offered_more(count <= kSmallPiece);
}

void Http2Stream::offer_end(std::span<const nghttp2_nv> trailers) {
  trailers_ = trailers;
  data_ = {};
  file_ = -1;
  end_ = true;
  offered_more(true);
}

Task<Result<>> Http2Stream::sent(Duration idle) {
  Error error{};
  for (std::uint64_t before = offered();;) {
    if (file_failed_) {
      error = {Errc::kInternal, Side::kInternal, "file_truncated"};
      break;
    }
    if (offered() == 0) co_return Result<>();
    if (closed_) {
      error = error_;
      break;
    }
    writable_.clear();
    const Wake wake = co_await writable_.wait(deadline_after(transport_.loop().now(), idle));
    if (wake == Wake::kCancelled) {
      error = stream_error(wake, side_);
      break;
    }
    const std::uint64_t left = offered();
    if (wake == Wake::kTimeout && left == before) {
      error = {Errc::kTimeout, side_, "send_timeout"};
      break;
    }
    before = left;
  }
  withdraw();
  co_return error;
}

void Http2Stream::withdraw() {
  data_ = {};
  file_ = -1;
  file_left_ = 0;
}

void Http2Stream::reset(std::uint32_t code) {
  if (closed_) return;
  nghttp2_submit_rst_stream(transport_.session(), NGHTTP2_FLAG_NONE, id_, code);
  transport_.send_soon();
}

// --- nghttp2's callbacks --------------------------------------------------------------------------------------------

ssize_t Http2Stream::read_callback(nghttp2_session*, std::int32_t, std::uint8_t*, std::size_t room,
                                   std::uint32_t* flags, nghttp2_data_source* source, void*) {
  return static_cast<Http2Stream*>(source->ptr)->next_length(room, flags);
}

ssize_t Http2Stream::next_length(std::size_t room, std::uint32_t* flags) {
  const std::uint64_t left = offered();
  if (left == 0 && !end_) {
    deferred_ = true;
    writable_.set();
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(room, left));
  if (end_ && size == left) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!trailers_.empty()) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      nghttp2_submit_trailer(transport_.session(), id_, trailers_.data(), trailers_.size());
    }
  }
  return static_cast<ssize_t>(size);
}

int Http2Stream::send_data(const std::uint8_t* frame_head, std::size_t size) {
  // Claimed only when the content is there: a file may turn out to be shorter than it was.
  char* const out = transport_.reserve();
  std::memcpy(out, frame_head, Http2Transport::kFrameHead);
  if (!copy_content(out + Http2Transport::kFrameHead, size)) {
    file_failed_ = true;
    writable_.set();
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  transport_.claim(Http2Transport::kFrameHead + size);
  bytes_sent_ += size;
  if (offered() == 0) writable_.set();
  // Stops nghttp2 before it begins another frame without room for it.
  return transport_.room() < Http2Transport::kLeastRoom ? NGHTTP2_ERR_PAUSE : 0;
}

bool Http2Stream::copy_content(char* out, std::size_t size) {
  if (file_ < 0) {
    if (size > 0) std::memcpy(out, data_.data(), size);
    data_ = data_.subspan(size);
    return true;
  }
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(file_, out + done, size - done, static_cast<off_t>(file_offset_));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<std::size_t>(got);
    file_offset_ += static_cast<std::uint64_t>(got);
    file_left_ -= static_cast<std::uint64_t>(got);
  }
  return true;
}

}  // namespace headgate::http
