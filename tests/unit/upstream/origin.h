// SPDX-License-Identifier: Apache-2.0
// A listener that a test answers by hand, and settings that name it.
#pragma once

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/base/run.h"
#include "tests/unit/base/sockets.h"
#include "upstream/upstream.h"

namespace headgate::upstream {

inline config::Address ip_address(const std::string& host, std::uint16_t port) {
  config::Address address;
  address.kind = config::Address::Kind::kIp;
  address.ip = *IpAddress::parse(host);
  address.port = port;
  address.text = host + ":" + std::to_string(port);
  return address;
}

inline SocketAddress address_of(const config::Address& address) {
  return SocketAddress::ip(address.ip, address.port);
}

inline Server::Settings settings_of(const SocketAddress& address) {
  Server::Settings settings;
  settings.address = address;
  return settings;
}
inline Server::Settings settings_of(const config::Address& address) {
  return settings_of(address_of(address));
}

/// The kernel takes the connections; accept() fetches the oldest, which then blocks as a test wants it.
struct Origin {
  UniqueFd listener = listen_on(loopback(0), true);
  std::uint16_t port = local_address(listener.get()).port();
  Origin() { set_blocking(listener.get(), true); }
  config::Address address() const { return ip_address("127.0.0.1", port); }
  UniqueFd accept() const { return UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
};

inline Result<Lease> take(Loop& loop, Server& server, Server::Age age = Server::Age::kAny) {
  Result<Lease> outcome = Error{};
  run(loop, [](Loop& l, Server& s, Server::Age how_old, Result<Lease>& out) -> Task<> {
    out = co_await s.lease(l.now() + std::chrono::seconds(10), how_old);
  }(loop, server, age, outcome));
  return outcome;
}

}  // namespace headgate::upstream
