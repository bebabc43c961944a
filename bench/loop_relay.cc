// SPDX-License-Identifier: Apache-2.0
// loop_relay LISTEN_PORT ORIGIN_PORT: the same relay as floor_relay, on our own event loop: Task, Event, Socket. What
// it costs above the floor is the price of coroutines, deadlines and pooled buffers, before a byte of HTTP is parsed.
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <sys/epoll.h>

#include "base/loop.h"
#include "base/socket.h"
#include "base/task_group.h"

namespace {

using namespace headgate;

constexpr auto kIdle = std::chrono::seconds(60);

/// Copies one direction until it ends or fails, then ends the other, too.
Task<> copy(Socket& from, Socket& to) {
  Buffer buffer;
  for (;;) {
    // A block is held only while bytes are on their way.
    if (!buffer) buffer = from.loop().buffers().take(BufferPool::kMedium);
    const IoResult got = from.try_read({buffer.data(), buffer.size()});
    if (got.kind == IoResult::Kind::kWouldBlock) {
      buffer.release();
      const Wake wake = co_await from.wait_read(from.loop().now() + kIdle);
      if (wake != Wake::kReady) break;
      continue;
    }
    if (got.kind != IoResult::Kind::kOk) break;
    std::size_t done = 0;
    while (done < got.bytes) {
      const iovec piece{buffer.data() + done, got.bytes - done};
      const IoResult put = to.try_write({&piece, 1});
      if (put.kind == IoResult::Kind::kWouldBlock) {
        if (co_await to.wait_write(to.loop().now() + kIdle) != Wake::kReady) break;
      } else if (put.kind == IoResult::Kind::kOk) {
        done += put.bytes;
      } else {
        break;
      }
    }
    if (done < got.bytes) break;
  }
  from.cancel();
  to.cancel();
}

Task<> relay(Loop& loop, UniqueFd accepted, SocketAddress origin) {
  Socket client(loop, std::move(accepted), Side::kDownstream);
  const TimePoint deadline = loop.now() + kIdle;
  auto connected = co_await connect(loop, origin, deadline);
  if (!connected) co_return;
  Socket upstream(loop, std::move(connected.value()), Side::kUpstream);
  Task<> back = copy(upstream, client);
  back.start();
  Task<> forth = copy(client, upstream);
  co_await forth;
  co_await back;
}

class Acceptor final : public Readiness {
 public:
  Acceptor(Loop& loop, UniqueFd listener, const SocketAddress& origin)
      : loop_(loop), listener_(std::move(listener)), origin_(origin), ready_(loop), tasks_(loop) {
    loop_.add(listener_.get(), EPOLLIN | EPOLLET, *this);
    tasks_.spawn(accept_all());
  }

 private:
  void on_events(std::uint32_t) override { ready_.set(); }

  Task<> accept_all() {
    for (;;) {
      if (co_await ready_.wait(kNoDeadline) != Wake::kReady) co_return;
      UniqueFd accepted(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (accepted) {
        tasks_.spawn(relay(loop_, std::move(accepted), origin_));
      } else {
        ready_.clear();
      }
    }
  }

  Loop& loop_;
  UniqueFd listener_;
  SocketAddress origin_;
  Event ready_;
  TaskGroup tasks_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: loop_relay LISTEN_PORT ORIGIN_PORT\n");
    return 64;
  }
  const IpAddress loopback = *IpAddress::parse("127.0.0.1");
  UniqueFd listener = listen_on(SocketAddress::ip(loopback, static_cast<std::uint16_t>(std::atoi(argv[1]))), false);
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &length);
  const auto address = SocketAddress::from_sockaddr(reinterpret_cast<sockaddr*>(&bound), length);
  std::printf("listening on %s\n", address.to_string().c_str());
  std::fflush(stdout);
  Loop loop;
  const Acceptor acceptor(loop, std::move(listener),
                          SocketAddress::ip(loopback, static_cast<std::uint16_t>(std::atoi(argv[2]))));
  loop.run();
}
