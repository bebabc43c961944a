// SPDX-License-Identifier: Apache-2.0
#include "base/replayed_stream.h"

#include <algorithm>
#include <cstring>

namespace headgate {

ReplayedStream::ReplayedStream(Loop& loop, std::unique_ptr<ByteStream> below)
    : loop_(loop), below_(std::move(below)), ready_(loop) {
  ready_.set();
}

Task<bool> ReplayedStream::begins_with(std::string_view text, TimePoint deadline) {
  seen_ = loop_.buffers().take(BufferPool::kSmall);
  for (;;) {
    const std::string_view seen(seen_.data(), end_);
    const auto known = std::min(seen.size(), text.size());
    if (seen.substr(0, known) != text.substr(0, known)) co_return false;
    if (known == text.size()) co_return true;
    const std::span<char> room(seen_.data() + end_, seen_.size() - end_);
    const auto got = co_await read_some(*below_, room, deadline, Side::kDownstream);
    // An end, a failure or silence: the session meets it again and knows what to do.
    if (!got || *got == 0) co_return false;
    end_ += *got;
  }
}

IoResult ReplayedStream::try_read(std::span<char> into) {
  if (begin_ == end_) return below_->try_read(into);
  const std::size_t size = std::min(into.size(), end_ - begin_);
  std::memcpy(into.data(), seen_.data() + begin_, size);
  begin_ += size;
  if (begin_ == end_) seen_.release();
  return IoResult::ok(size);
}

}  // namespace headgate
