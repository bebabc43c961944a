// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/tunnel.h"

#include "base/buffer_pool.h"

namespace headgate::proxy {
namespace {

struct Direction {
  ByteStream& from;
  ByteStream& to;
  std::span<const char> early;
  std::uint64_t bytes = 0;
  const char* error = nullptr;
};

/// Both directions' clock: either one's bytes keep the other from timing out.
struct Activity {
  Loop& loop;
  Duration idle;
  TimePoint last;
  const char* error = nullptr;  // the first failure of either: what the other meets after it is only its echo
  TimePoint deadline() const { return deadline_after(last, idle); }
};

Task<Result<>> send(Direction& way, Activity& activity, std::span<const char> data) {
  iovec piece{const_cast<char*>(data.data()), data.size()};
  const auto sent = co_await write_all(way.to, {&piece, 1}, activity.loop, activity.idle, Side::kInternal);
  activity.last = activity.loop.now();
  co_return sent;
}

/// Waits without a buffer, so that a quiet tunnel costs none.
Task<Result<bool>> pump_once(Direction& way, Activity& activity) {
  for (;;) {
    Buffer buffer = activity.loop.buffers().take(BufferPool::kMedium);
    const IoResult got = way.from.try_read({buffer.data(), buffer.size()});
    if (got.kind == IoResult::Kind::kOk) {
      way.bytes += got.bytes;
      const auto sent = co_await send(way, activity, {buffer.data(), got.bytes});
      if (!sent) co_return sent.error();
      co_return true;
    }
    if (got.kind == IoResult::Kind::kEof) co_return false;
    if (got.kind == IoResult::Kind::kError) co_return got.error;
    buffer.release();
    const Wake wake = co_await way.from.wait_read(activity.deadline());
    if (wake == Wake::kTimeout && activity.loop.now() < activity.deadline()) continue;
    if (wake != Wake::kReady) co_return stream_error(wake, Side::kInternal);
  }
}

Task<> pump(Direction& way, Activity& activity) {
  if (!way.early.empty()) {
    way.bytes += way.early.size();
    const auto sent = co_await send(way, activity, way.early);
    if (!sent) way.error = sent.error().reason;
  }
  unsigned rounds = 0;
  while (way.error == nullptr) {
    const auto more = co_await pump_once(way, activity);
    if (!more) {
      way.error = more.error().reason;
      break;
    }
    if (!*more) break;
    if (++rounds % 16 == 0) co_await activity.loop.yield();
  }
  if (way.error == nullptr) {
    way.to.shutdown_write();
  } else {
    // One direction that failed takes the other along.
    if (activity.error == nullptr) activity.error = way.error;
    way.from.cancel();
    way.to.cancel();
  }
}

}  // namespace

Task<TunnelResult> run_tunnel(Loop& loop, TunnelEnd client, TunnelEnd origin, Duration idle) {
  Activity activity{.loop = loop, .idle = idle, .last = loop.now()};
  Direction up{client.stream, origin.stream, client.early};
  Direction down{origin.stream, client.stream, origin.early};
  Task<> upward = pump(up, activity);
  upward.start();
  co_await pump(down, activity);
  co_await upward;
  TunnelResult result;
  result.from_client = up.bytes;
  result.from_origin = down.bytes;
  result.error = activity.error;
  co_return result;
}

}  // namespace headgate::proxy
