// SPDX-License-Identifier: Apache-2.0
#include "proxy/acceptor.h"

#include <netinet/in.h>
#include <sys/epoll.h>

#include <cerrno>
#include <system_error>

#include "base/log.h"

namespace headgate::proxy {
namespace {

constexpr unsigned kAcceptsPerTurn = 64;
constexpr Duration kPause = std::chrono::milliseconds(100);

}  // namespace

Acceptor::Acceptor(Loop& loop, std::shared_ptr<const BoundListener> listener, std::shared_ptr<ListeningSocket> socket,
                   bool shared)
    : loop_(loop), listener_(std::move(listener)), socket_(std::move(socket)), ready_(loop), pause_(loop) {
  ready_.set();
  if (!loop_.add(socket_->fd(), EPOLLIN | EPOLLET | (shared ? EPOLLEXCLUSIVE : 0u), *this)) {
    log::error("{}: cannot watch the listener", listener_->local.to_string());
  }
}

Acceptor::~Acceptor() { loop_.remove(socket_->fd()); }

void Acceptor::on_events(std::uint32_t) { ready_.set(); }

void Acceptor::resume() {
  held_ = false;
  ready_.set();
}

void Acceptor::cancel() {
  ready_.cancel();
  pause_.cancel();
}

UniqueFd Acceptor::accept(SocketAddress& peer) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  UniqueFd fd(::accept4(socket_->fd(), address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (fd) peer = SocketAddress::from_sockaddr(address, length);
  return fd;
}

Task<> Acceptor::run(Sink& sink) {
  for (;;) {
    const bool last = cancelled();
    ready_.clear();
    for (unsigned accepted = 1; !held_; ++accepted) {
      SocketAddress peer;
      UniqueFd fd = accept(peer);
      if (fd) {
        sink.accepted(std::move(fd), peer, *this);
        if (accepted % kAcceptsPerTurn == 0) co_await loop_.yield();
        continue;
      }
      if (errno == EAGAIN) break;
      if (errno == ECONNABORTED || errno == EINTR) continue;
      log::error("{}: accept: {}; no connection is taken for {} ms", listener_->local.to_string(),
                 std::generic_category().message(errno), kPause / std::chrono::milliseconds(1));
      const Wake wake = co_await pause_.wait(loop_.now() + kPause);
      if (wake != Wake::kTimeout) break;
    }
    if (last) co_return;
    co_await ready_.wait(kNoDeadline);
  }
}

}  // namespace headgate::proxy
