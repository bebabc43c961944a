// SPDX-License-Identifier: Apache-2.0
#include "base/byte_stream.h"

#include <stdexcept>
#include <string>

#include "base/loop.h"

namespace headgate {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::kClosed: return "closed";
    case Errc::kReset: return "reset";
    case Errc::kRefused: return "refused";
    case Errc::kUnreachable: return "unreachable";
    case Errc::kTimeout: return "timeout";
    case Errc::kCancelled: return "cancelled";
    case Errc::kUnavailable: return "unavailable";
    case Errc::kResolve: return "resolve";
    case Errc::kTls: return "tls";
    case Errc::kBadMessage: return "bad_message";
    case Errc::kTooLarge: return "too_large";
    case Errc::kInternal: return "internal";
  }
  return "internal";
}

void throw_exception_from_error(const Error& error, const boost::source_location& where) {
  throw std::logic_error(std::string("value() of a failed result: ") + error.reason + " at " + where.to_string());
}

Error stream_error(Wake wake, Side side) {
  if (wake == Wake::kTimeout) return {Errc::kTimeout, side, "timeout"};
  return {Errc::kCancelled, side, "cancelled"};
}

std::span<iovec> consume(std::span<iovec> pieces, std::size_t bytes) {
  while (!pieces.empty() && bytes >= pieces.front().iov_len) {
    bytes -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (bytes > 0) {
    pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + bytes;
    pieces.front().iov_len -= bytes;
  }
  return pieces;
}

Task<Result<std::size_t>> read_some(ByteStream& stream, std::span<char> into, TimePoint deadline, Side side) {
  for (;;) {
    const IoResult got = stream.try_read(into);
    switch (got.kind) {
      case IoResult::Kind::kOk: co_return got.bytes;
      case IoResult::Kind::kEof: co_return std::size_t{0};
      case IoResult::Kind::kError: co_return got.error;
      case IoResult::Kind::kWouldBlock: break;
    }
    const Wake wake = co_await stream.wait_read(deadline);
    if (wake != Wake::kReady) co_return stream_error(wake, side);
  }
}

Task<Result<>> write_all(ByteStream& stream, std::span<iovec> pieces, Loop& loop, Duration idle, Side side) {
  pieces = consume(pieces, 0);
  while (!pieces.empty()) {
    const IoResult put = stream.try_write(pieces);
    if (put.kind == IoResult::Kind::kOk) {
      pieces = consume(pieces, put.bytes);
      continue;
    }
    if (put.kind != IoResult::Kind::kWouldBlock) co_return put.error;
    const Wake wake = co_await stream.wait_write(deadline_after(loop.now(), idle));
    if (wake != Wake::kReady) co_return stream_error(wake, side);
  }
  co_return Result<>();
}

}  // namespace headgate
