// SPDX-License-Identifier: Apache-2.0
// One loop, a connected pair of sockets, and both ends of a handshake on them.
#pragma once

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/task_group.h"
#include "test_authority.h"
#include "tls/client_context.h"
#include "tls/server_context.h"
#include "tls/stream.h"

namespace headgate::tls {

using StreamResult = Result<std::unique_ptr<TlsStream>>;

struct Handshake {
  StreamResult server = Error{};
  StreamResult client = Error{};
  bool ok() const { return server.has_value() && client.has_value(); }
};

class TlsTest : public testing::Test {
 protected:
  TlsTest() { std::signal(SIGPIPE, SIG_IGN); }

  std::pair<UniqueFd, UniqueFd> descriptors() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    return {UniqueFd(fds[0]), UniqueFd(fds[1])};
  }

  /// The same over TCP on loopback.
  std::pair<UniqueFd, UniqueFd> tcp_descriptors() {
    const UniqueFd listener = listen_on(SocketAddress::ip(*IpAddress::parse("127.0.0.1"), 0), false);
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    EXPECT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&bound), &size), 0);
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&bound), size), 0);
    EXPECT_EQ(::fcntl(client.get(), F_SETFL, O_NONBLOCK), 0);
    pollfd ready{listener.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 10'000), 1);
    UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return {std::move(server), std::move(client)};
  }

  std::unique_ptr<Socket> socket(UniqueFd fd, Side side) {
    return std::make_unique<Socket>(loop_, std::move(fd), side);
  }

  TimePoint soon() const { return Clock::now() + std::chrono::seconds(20); }

  /// Runs the loop until the task has ended.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> out;
    TaskGroup group(loop_);
    left_ = 1;
    group.spawn(keep(std::move(task), out));
    run_until_done();
    return std::move(*out);
  }

  template <class A, class B>
  std::pair<A, B> run_both(Task<A> a, Task<B> b) {
    std::optional<A> out_a;
    std::optional<B> out_b;
    TaskGroup group(loop_);
    left_ = 2;
    group.spawn(keep(std::move(a), out_a));
    group.spawn(keep(std::move(b), out_b));
    run_until_done();
    return {std::move(*out_a), std::move(*out_b)};
  }

  Handshake shake(ServerContext& server, ClientContext& client, const std::string& name) {
    auto [left, right] = descriptors();
    return shake_over(server, client, name, std::move(left), std::move(right));
  }

  Handshake shake_over(ServerContext& server, ClientContext& client, const std::string& name, UniqueFd server_fd,
                       UniqueFd client_fd) {
    auto both = run_both(accept(server, socket(std::move(server_fd), Side::kDownstream), soon()),
                         connect(client, socket(std::move(client_fd), Side::kUpstream), name, soon()));
    return {std::move(both.first), std::move(both.second)};
  }

  /// Writes all of `text` and reads as many bytes at the other end.
  std::string pass(ByteStream& from, ByteStream& to, const std::string& text) {
    auto both = run_both(send(from, text), receive(to, text.size()));
    EXPECT_TRUE(both.first.has_value());
    return both.second;
  }

  Task<Result<>> send(ByteStream& to, std::string text) {
    iovec piece{text.data(), text.size()};
    co_return co_await write_all(to, std::span(&piece, 1), loop_, std::chrono::seconds(20), Side::kInternal);
  }

  Task<std::string> receive(ByteStream& from, std::size_t count) {
    std::string text;
    std::vector<char> piece(64 * 1024);
    while (text.size() < count) {
      const Result<std::size_t> got = co_await read_some(from, piece, soon(), Side::kInternal);
      if (!got || *got == 0) break;
      text.append(piece.data(), *got);
    }
    co_return text;
  }

  /// The outcome of one read: bytes, or 0 for a clean end.
  Result<std::size_t> read_once(ByteStream& from) {
    std::vector<char> piece(64 * 1024);
    return run(read_some(from, piece, soon(), Side::kInternal));
  }

  std::shared_ptr<CertificateStore> store(std::vector<PemPair> pairs, config::Tls settings = {}) {
    return std::make_shared<CertificateStore>(settings, std::move(pairs));
  }

  ServerContext server(std::shared_ptr<const CertificateStore> certificates, const config::Tls& settings = {}) {
    return ServerContext(std::move(certificates), settings, {"http/1.1"}, tickets_);
  }

  /// Trusts the test's authority.
  config::UpstreamTls trusting() const {
    config::UpstreamTls settings;
    settings.ca = dir_.write("ca.pem", authority_.pem());
    return settings;
  }

  /// The same, showing a client certificate.
  config::UpstreamTls showing(const PemPair& pair) const {
    config::UpstreamTls settings = trusting();
    settings.cert = dir_.write("client.pem", pair.cert);
    settings.key = dir_.write("client.key", pair.key);
    return settings;
  }

  static void limit_to_tls12(ClientContext& client) {
    SSL_CTX_set_max_proto_version(client.settings(), TLS1_2_VERSION);
  }

  TempDir dir_;
  TestAuthority authority_{"Test CA"};
  Loop loop_;
  std::shared_ptr<TicketKeys> tickets_ = std::make_shared<TicketKeys>();

 private:
  template <class T>
  Task<> keep(Task<T> task, std::optional<T>& out) {
    T value = co_await task;
    out.emplace(std::move(value));
    if (--left_ == 0 && looping_) loop_.stop();
  }

  void run_until_done() {
    if (left_ == 0) return;
    looping_ = true;
    loop_.run();
    looping_ = false;
  }
  int left_ = 0;
  bool looping_ = false;
};

}  // namespace headgate::tls
