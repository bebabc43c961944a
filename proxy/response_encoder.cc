// SPDX-License-Identifier: Apache-2.0
#include "proxy/response_encoder.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <unistd.h>

namespace headgate::proxy {
namespace {

using compress::EncoderStore;
using compress::Push;

/// Input between two turns of the loop; docs/compression.md says how long that takes.
constexpr std::size_t kSlice = 16 * 1024;
constexpr std::size_t kBlock = BufferPool::kLarge;

}  // namespace

Task<Result<>> ResponseEncoder::write(std::span<const char> data, bool last) {
  if (last) return end(data, nullptr);
  if (data.empty()) return flush();
  return encode(data, choice_.trickle ? Push::kAll : Push::kNothing);
}

Task<Result<>> ResponseEncoder::flush() {
  if (!pending_) return exchange_.flush();
  return encode({}, Push::kAll);
}

Task<Result<>> ResponseEncoder::finish(const http::Fields* trailers) {
  return end({}, trailers);
}

Task<Result<>> ResponseEncoder::write_file(int file, std::uint64_t offset, std::uint64_t count) {
  Buffer buffer = exchange_.loop().buffers().take(kBlock);
  while (count > 0) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), count));
    const ssize_t got = ::pread(file, buffer.data(), want, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      exchange_.abort();
      co_return Error{Errc::kInternal, Side::kInternal, "file_truncated", got < 0 ? errno : 0};
    }
    const std::span<const char> piece(buffer.data(), static_cast<std::size_t>(got));
    auto encoding = encode(piece, Push::kNothing);
    const auto encoded = co_await encoding;
    if (!encoded) co_return encoded;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::uint64_t>(got);
  }
  co_return Result<>();
}

Task<Result<>> ResponseEncoder::encode(std::span<const char> data, Push push) {
  begun_ = true;
  cells_.bytes_in.add(data.size());
  do {
    if (worked_ >= kSlice) {
      worked_ = 0;
      co_await exchange_.loop().yield();
    }
    const auto slice = data.first(std::min(data.size(), kSlice));
    data = data.subspan(slice.size());
    worked_ += slice.size();
    auto encoding = encode_slice(slice, data.empty() ? push : Push::kNothing);
    const auto encoded = co_await encoding;
    if (!encoded) co_return encoded;
  } while (!data.empty());
  pending_ = push == Push::kNothing;
  if (push != Push::kAll) co_return Result<>();
  auto sending = send(false);
  co_return co_await sending;
}

/// What comes out stays in the block until that is full.
Task<Result<>> ResponseEncoder::encode_slice(std::span<const char> slice, Push push) {
  for (;;) {
    if (!out_) out_ = exchange_.loop().buffers().take(kBlock);
    const std::span<char> room(out_.data() + filled_, out_.size() - filled_);
    const auto step = encoder_->run(slice, room, push);
    filled_ += step.made;
    slice = slice.subspan(step.taken);
    if (step.failed || (!step.done && step.taken == 0 && step.made == 0)) co_return failed();
    if (step.done && filled_ < out_.size()) co_return Result<>();
    if (filled_ == out_.size()) {
      auto sending = send(false);
      const auto sent = co_await sending;
      if (!sent) co_return sent;
    }
    if (step.done) co_return Result<>();
  }
}

/// gzip of what is whole in one piece takes half the time so.
bool ResponseEncoder::encode_at_once(std::span<const char> data) {
  if (begun_ || choice_.coding != http::Coding::kGzip || data.empty() || data.size() > EncoderStore::kWhole)
    return false;
  out_ = exchange_.loop().buffers().take(data.size() + data.size() / 64 + 128);
  const std::span<char> room(out_.data(), out_.size());
  filled_ = EncoderStore::of_this_thread().gzip(data, choice_.level, room);
  if (filled_ == 0) return false;
  cells_.bytes_in.add(data.size());
  return true;
}

Task<Result<>> ResponseEncoder::end(std::span<const char> data, const http::Fields* trailers) {
  if (!encode_at_once(data)) {
    auto encoding = encode(data, Push::kEnd);
    const auto encoded = co_await encoding;
    if (!encoded) co_return encoded;
  }
  const bool more = trailers != nullptr && !trailers->empty();
  auto sending = send(!more);
  const auto sent = co_await sending;
  if (!sent) co_return sent;
  if (forms_ != nullptr) forms_->keep(choice_.coding, std::move(collected_));
  if (!more) co_return Result<>();
  auto finishing = exchange_.finish(trailers);
  co_return co_await finishing;
}

Task<Result<>> ResponseEncoder::send(bool last) {
  const std::span<const char> bytes(out_.data(), std::exchange(filled_, 0));
  cells_.bytes_out.add(bytes.size());
  collect(bytes);
  auto writing = exchange_.write(bytes, last);
  const auto sent = co_await writing;
  out_.release();
  co_return sent;
}

void ResponseEncoder::collect(std::span<const char> encoded) {
  if (forms_ != nullptr) collected_.append(encoded.data(), encoded.size());
}

/// A library that refuses to go on: not seen, but the client must not take what it has for the whole.
Error ResponseEncoder::failed() {
  exchange_.abort();
  return {Errc::kInternal, Side::kInternal, "compression_failed"};
}

}  // namespace headgate::proxy
