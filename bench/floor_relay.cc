// SPDX-License-Identifier: Apache-2.0
// floor_relay LISTEN_PORT ORIGIN_PORT: the floor under every proxy. Bare epoll, one thread, one origin connection for
// each client connection, bytes copied without a look at them. What a proxy costs above this is its own doing; what
// this costs is the kernel's TCP. Events that the benchmark does not need (half-close, errors) end both connections.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct Side {
  int fd = -1;
  int peer = -1;
  bool connected = true;
  bool readable = false;  // may have something that was not read for want of room at the peer
  std::string backlog;    // read from the peer, not yet taken by this socket
};

std::vector<Side> sides;  // by descriptor

Side& side(int fd) {
  if (static_cast<std::size_t>(fd) >= sides.size()) sides.resize(static_cast<std::size_t>(fd) + 64);
  return sides[static_cast<std::size_t>(fd)];
}

void no_delay(int fd) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void drop(int fd) {
  const int peer = side(fd).peer;
  for (const int one : {fd, peer}) {
    if (one < 0 || side(one).fd != one) continue;
    side(one) = Side{};
    ::close(one);
  }
}

bool flush(Side& to) {
  while (!to.backlog.empty()) {
    const ssize_t n = ::send(to.fd, to.backlog.data(), to.backlog.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    to.backlog.erase(0, static_cast<std::size_t>(n));
  }
  return true;
}

/// Moves what `from` has to its peer, as long as that takes it. False: the end.
bool pump(Side& from) {
  static char buffer[64 * 1024];
  Side& to = side(from.peer);
  while (from.readable && to.connected && to.backlog.empty()) {
    const ssize_t n = ::recv(from.fd, buffer, sizeof buffer, 0);
    if (n == 0) return false;
    if (n < 0) {
      from.readable = false;
      return errno == EAGAIN;
    }
    if (static_cast<std::size_t>(n) < sizeof buffer) from.readable = false;  // empty now: the next byte brings an edge
    const ssize_t sent = ::send(to.fd, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) return false;
    const auto taken = static_cast<std::size_t>(sent < 0 ? 0 : sent);
    if (taken < static_cast<std::size_t>(n)) to.backlog.assign(buffer + taken, static_cast<std::size_t>(n) - taken);
  }
  return true;
}

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.fd = fd;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void take(int epoll, int listener, const sockaddr_in& origin) {
  for (;;) {
    const int client = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) return;
    const int upstream = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    no_delay(client);
    no_delay(upstream);
    const bool now = ::connect(upstream, reinterpret_cast<const sockaddr*>(&origin), sizeof origin) == 0;
    side(upstream);
    side(client) = Side{client, upstream, true, false, {}};
    side(upstream) = Side{upstream, client, now, false, {}};
    watch(epoll, client);
    watch(epoll, upstream);
  }
}

void handle(const epoll_event& event) {
  const int fd = event.data.fd;
  if (side(fd).fd != fd) return;  // its pair ended earlier in this turn
  if ((event.events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0) return drop(fd);
  Side& self = side(fd);
  if ((event.events & EPOLLIN) != 0) self.readable = true;
  if ((event.events & EPOLLOUT) != 0) self.connected = true;
  if (!flush(self) || !pump(self)) return drop(fd);
  if ((event.events & EPOLLOUT) != 0 && !pump(side(self.peer))) drop(fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: floor_relay LISTEN_PORT ORIGIN_PORT\n");
    return 64;
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  sockaddr_in origin = address;
  origin.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  socklen_t length = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener, SOMAXCONN) != 0) {
    std::perror("floor_relay");
    return 1;
  }
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);

  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  epoll_event events[256];
  for (;;) {
    const int count = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd == listener) {
        take(epoll, listener, origin);
      } else {
        handle(events[i]);
      }
    }
  }
}
