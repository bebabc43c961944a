// SPDX-License-Identifier: Apache-2.0
#include "proxy/listener_sockets.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <set>
#include <system_error>

#include <sys/stat.h>

#include "base/socket.h"

namespace headgate::proxy {
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

void bind_unix(BoundListener& bound) {
  const auto& path = bound.config.address.path;
  bound.local = SocketAddress::unix_path(path);
  remove_stale(bound.local, path);
  const auto remove = [path](UniqueFd* fd) {
    ::unlink(path.c_str());
    delete fd;
  };
  bound.fds.push_back(std::shared_ptr<UniqueFd>(new UniqueFd(listen_on(bound.local, false)), remove));
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

void bind_ip(BoundListener& bound, std::size_t workers) {
  const auto& address = bound.config.address;
  if (address.kind == config::Address::Kind::kAny) {
    bound.fds.push_back(std::make_shared<UniqueFd>(bind_any(address.port)));
  } else {
    bound.fds.push_back(std::make_shared<UniqueFd>(listen_on(SocketAddress::ip(address.ip, address.port), true)));
  }
  bound.local = address_of(bound.fds.front()->get());
  // The others join the port that the first one got.
  while (bound.fds.size() < workers) {
    const bool v6_only = address.kind != config::Address::Kind::kAny;
    bound.fds.push_back(std::make_shared<UniqueFd>(listen_on(bound.local, v6_only)));
  }
}

}  // namespace

std::shared_ptr<const BoundListener> bind_listener(const config::Listener& listener, std::size_t workers) {
  static std::atomic<std::uint64_t> bound_so_far{0};
  auto bound = std::make_shared<BoundListener>();
  bound->config = listener;
  bound->sockets = ++bound_so_far;
  if (listener.address.kind == config::Address::Kind::kUnix) {
    bind_unix(*bound);
  } else {
    bind_ip(*bound, workers);
  }
  return bound;
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
