// SPDX-License-Identifier: Apache-2.0
#include "base/socket.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>

#include "base/system_calls.h"

namespace headgate {

Socket::Socket(Loop& loop, UniqueFd fd, Side side)
    : loop_(loop), fd_(std::move(fd)), side_(side), readable_(loop), writable_(loop) {
  // Until an edge says otherwise both directions are worth a try.
  readable_.set();
  writable_.set();
  if (!loop_.add(fd_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this)) fd_.reset();
}

Socket::~Socket() = default;

void Socket::on_events(std::uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) hung_up_ = true;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_.set();
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_.set();
}

void Socket::clear_readable() {
  if (!hung_up_) readable_.clear();
}

IoResult Socket::failed(int error) const {
  const bool reset = error == ECONNRESET || error == EPIPE || error == ENOTCONN;
  if (!reset) return IoResult::failed({Errc::kInternal, side_, "socket_error", error});
  return IoResult::failed({Errc::kReset, side_, side_ == Side::kUpstream ? "upstream_reset" : "client_reset", error});
}

IoResult Socket::try_read(std::span<char> into) {
  if (!readable_.is_set()) return IoResult::would_block();
  ssize_t n;
  do {
    n = system_calls::recv(fd_.get(), into.data(), into.size(), 0);
  } while (n < 0 && errno == EINTR);
  if (n > 0) {
    // A short read emptied the socket: the next byte brings an edge.
    if (static_cast<std::size_t>(n) < into.size()) clear_readable();
    return IoResult::ok(static_cast<std::size_t>(n));
  }
  if (n == 0) return IoResult::eof();
  if (errno == EAGAIN) {
    readable_.clear();
    return IoResult::would_block();
  }
  return failed(errno);
}

IoResult Socket::try_write(std::span<const iovec> pieces) {
  if (!writable_.is_set()) return IoResult::would_block();
  ssize_t n;
  std::size_t wanted = 0;
  for (const auto& piece : pieces) wanted += piece.iov_len;
  const int flags = MSG_NOSIGNAL | (ending_ ? MSG_MORE : 0);
  do {
    if (pieces.size() == 1) {
      n = system_calls::send(fd_.get(), pieces[0].iov_base, pieces[0].iov_len, flags);
    } else {
      msghdr message{};
      message.msg_iov = const_cast<iovec*>(pieces.data());
      message.msg_iovlen = std::min<std::size_t>(pieces.size(), 64);
      n = system_calls::sendmsg(fd_.get(), &message, flags);
    }
  } while (n < 0 && errno == EINTR);
  if (n >= 0) {
    if (static_cast<std::size_t>(n) < wanted && pieces.size() <= 64) writable_.clear();
    return IoResult::ok(static_cast<std::size_t>(n));
  }
  if (errno == EAGAIN) {
    writable_.clear();
    return IoResult::would_block();
  }
  return failed(errno);
}

IoResult Socket::try_send_file(int file, off_t& offset, std::size_t count) {
  if (!writable_.is_set()) return IoResult::would_block();
  ssize_t n;
  do {
    n = ::sendfile(fd_.get(), file, &offset, count);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return IoResult::ok(static_cast<std::size_t>(n));
  if (n == 0) return IoResult::failed({Errc::kInternal, Side::kInternal, "file_truncated"});
  if (errno == EAGAIN) {
    writable_.clear();
    return IoResult::would_block();
  }
  return failed(errno);
}

void Socket::shutdown_write() {
  ::shutdown(fd_.get(), SHUT_WR);
}

void Socket::cancel() {
  readable_.cancel();
  writable_.cancel();
}

void Socket::abort_on_close() {
  const linger reset{1, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

bool Socket::has_pending_input() {
  if (hung_up_) return true;
  if (!readable_.is_set()) return false;
  char byte;
  const ssize_t n = system_calls::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) {
    readable_.clear();
    return false;
  }
  return true;
}

namespace {

/// Watches one connect(2) for its end.
class Connecting final : public Readiness {
 public:
  explicit Connecting(Loop& loop) : done(loop) {}
  void on_events(std::uint32_t) override { done.set(); }
  Event done;
};

Error connect_error(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:
      return {Errc::kRefused, Side::kUpstream, "connect_refused", error};
    case ETIMEDOUT:
      return {Errc::kTimeout, Side::kUpstream, "connect_timeout", error};
    case ECONNRESET:
      return {Errc::kReset, Side::kUpstream, "connect_reset", error};
    case EMFILE:
    case ENFILE:
    case EADDRNOTAVAIL:
      return {Errc::kInternal, Side::kInternal, "out_of_descriptors_or_ports", error};
    default:
      return {Errc::kUnreachable, Side::kUpstream, "connect_unreachable", error};
  }
}

}  // namespace

Task<Result<UniqueFd>> connect(Loop& loop, const SocketAddress& to, TimePoint deadline) {
  UniqueFd fd(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) co_return connect_error(errno);
  if (to.family() != AF_UNIX) {
    const int one = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  if (::connect(fd.get(), to.get(), to.length()) == 0) co_return fd;
  // A unix socket whose backlog is full says EAGAIN and would never tell of its end: that is a refusal.
  if (errno == EAGAIN && to.family() == AF_UNIX) co_return connect_error(ECONNREFUSED);
  if (errno != EINPROGRESS) co_return connect_error(errno);
  Connecting connecting(loop);
  if (!loop.add(fd.get(), EPOLLOUT, connecting)) co_return connect_error(errno);
  const Wake wake = co_await connecting.done.wait(deadline);
  loop.remove(fd.get());
  if (wake == Wake::kTimeout) co_return connect_error(ETIMEDOUT);
  if (wake == Wake::kCancelled) co_return stream_error(wake, Side::kUpstream);
  int error = 0;
  socklen_t length = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) co_return connect_error(error);
  co_return fd;
}

UniqueFd listen_on(const SocketAddress& address, bool v6_only) {
  const auto fail = [&](const char* call) {
    throw std::system_error(errno, std::generic_category(), address.to_string() + ": " + call);
  };
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) fail("socket");
  const int one = 1;
  if (address.family() != AF_UNIX) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (address.family() == AF_INET6) {
      const int only = v6_only ? 1 : 0;
      ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    }
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);  // inherited by what it accepts
  }
  if (::bind(fd.get(), address.get(), address.length()) != 0) fail("bind");
  if (::listen(fd.get(), SOMAXCONN) != 0) fail("listen");
  return fd;
}

}  // namespace headgate
