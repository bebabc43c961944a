// SPDX-License-Identifier: Apache-2.0
#include "proxy/listener_sockets.h"

#include <algorithm>
#include <cerrno>
#include <set>
#include <system_error>

#include <sys/stat.h>

#include "base/socket.h"

namespace headgate::proxy {

ListeningSocket::~ListeningSocket() {
  if (!file_.empty() && !handed_over_.load(std::memory_order_relaxed)) ::unlink(file_.c_str());
}

ListeningSockets::ListeningSockets(List sockets) : held_(std::move(sockets)), all_(held_.begin(), held_.end()) {}

ListeningSockets::List ListeningSockets::share_of(std::size_t worker, std::size_t workers) const {
  if (held_.size() <= workers) return {held_[worker % held_.size()]};
  List share;
  for (std::size_t i = worker; i < held_.size(); i += workers) share.push_back(held_[i]);
  return share;
}

ListeningSockets::List ListeningSockets::open() const {
  List open;
  for (const auto& socket : all_) {
    if (auto held = socket.lock()) open.push_back(std::move(held));
  }
  return open;
}

namespace {

SocketAddress address_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length);
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
}

/// Removes the file of a socket on which nobody listens any more. Throws when somebody does, or it is no socket.
void remove_stale(const SocketAddress& address, const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return;
  if (!S_ISSOCK(info.st_mode)) throw std::system_error(EEXIST, std::generic_category(), path + " is not a socket");
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(probe.get(), address.get(), address.length()) == 0 || errno == EAGAIN) {
    throw std::system_error(EADDRINUSE, std::generic_category(), path);
  }
  ::unlink(path.c_str());
}

std::vector<UniqueFd> bind_unix(const std::string& path) {
  const auto address = SocketAddress::unix_path(path);
  remove_stale(address, path);
  std::vector<UniqueFd> sockets;
  sockets.push_back(listen_on(address, false));
  return sockets;
}

/// Every IPv6 address together with every IPv4 one, or IPv4 alone where the system has no IPv6.
UniqueFd bind_any(std::uint16_t port) {
  try {
    return listen_on(SocketAddress::any(true, port), false);
  } catch (const std::system_error& error) {
    if (error.code().value() != EAFNOSUPPORT && error.code().value() != EADDRNOTAVAIL) throw;
  }
  return listen_on(SocketAddress::any(false, port), false);
}

std::vector<UniqueFd> bind_ip(const config::Address& address, std::size_t workers) {
  const bool any = address.kind == config::Address::Kind::kAny;
  std::vector<UniqueFd> sockets;
  sockets.push_back(any ? bind_any(address.port) : listen_on(SocketAddress::ip(address.ip, address.port), true));
  // The others join the port that the first one got.
  const auto local = address_of(sockets.front().get());
  while (sockets.size() < workers) sockets.push_back(listen_on(local, !any));
  return sockets;
}

}  // namespace

std::shared_ptr<const BoundListener> adopt_listener(const config::Listener& listener, std::vector<UniqueFd> sockets) {
  const bool on_a_path = listener.address.kind == config::Address::Kind::kUnix;
  auto bound = std::make_shared<BoundListener>();
  bound->config = listener;
  bound->local = on_a_path ? SocketAddress::unix_path(listener.address.path) : address_of(sockets.front().get());
  ListeningSockets::List list;
  for (auto& socket : sockets) {
    list.push_back(std::make_shared<ListeningSocket>(std::move(socket), on_a_path ? listener.address.path : ""));
  }
  bound->sockets = std::make_shared<ListeningSockets>(std::move(list));
  return bound;
}

std::shared_ptr<const BoundListener> bind_listener(const config::Listener& listener, std::size_t workers) {
  const auto& address = listener.address;
  const bool on_a_path = address.kind == config::Address::Kind::kUnix;
  return adopt_listener(listener, on_a_path ? bind_unix(address.path) : bind_ip(address, workers));
}

namespace {

/// SO_REUSEPORT would let another instance of the same user share the port without a word: half of the connections
/// would go astray. Asked without it, the system tells. Throws as listen_on.
void refuse_taken(const config::Address& address, const BoundListeners& current) {
  const bool by_us = std::any_of(current.begin(), current.end(),
                                 [&](const auto& listener) { return listener->local.port() == address.port; });
  if (address.kind == config::Address::Kind::kUnix || address.port == 0 || by_us) return;
  const bool any = address.kind == config::Address::Kind::kAny;
  const auto probed = any ? SocketAddress::any(false, address.port) : SocketAddress::ip(address.ip, address.port);
  const UniqueFd probe(::socket(probed.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int one = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (probe && ::bind(probe.get(), probed.get(), probed.length()) != 0 && errno == EADDRINUSE) {
    throw std::system_error(EADDRINUSE, std::generic_category(), address.text);
  }
}

bool means_the_same(const config::Listener& a, const config::Listener& b) {
  return a.tls == b.tls && a.http2 == b.http2 && a.h2c == b.h2c && a.proxy_protocol == b.proxy_protocol;
}

/// The same sockets for a listener that is spoken to differently.
std::shared_ptr<const BoundListener> with_meaning(const config::Listener& listener, const BoundListener& old) {
  auto bound = std::make_shared<BoundListener>();
  bound->config = listener;
  bound->local = old.local;
  bound->sockets = old.sockets;
  return bound;
}

}  // namespace

BoundListeners bind_listeners(const std::vector<config::Listener>& listeners, const BoundListeners& current,
                              std::size_t workers) {
  BoundListeners result(listeners.size());
  std::set<const BoundListener*> taken;  // two listeners may both ask for a port of the system's choice
  const auto take = [&](const config::Listener& listener, bool same) -> std::shared_ptr<const BoundListener> {
    for (const auto& old : current) {
      if (old->config.address.text != listener.address.text || taken.contains(old.get())) continue;
      if (same && !means_the_same(old->config, listener)) continue;
      taken.insert(old.get());
      return old;
    }
    return nullptr;
  };
  for (std::size_t i = 0; i < listeners.size(); ++i) result[i] = take(listeners[i], true);
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    if (result[i]) continue;
    const auto old = take(listeners[i], false);
    if (old) {
      result[i] = with_meaning(listeners[i], *old);
      continue;
    }
    refuse_taken(listeners[i].address, current);
    result[i] = bind_listener(listeners[i], workers);
  }
  return result;
}

}  // namespace headgate::proxy
