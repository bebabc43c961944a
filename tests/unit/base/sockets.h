// SPDX-License-Identifier: Apache-2.0
// Connected sockets and listeners for tests, and plain blocking calls for the end that a test holds itself.
#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/socket.h"

namespace headgate {

/// `ours` is non-blocking, for a loop; `theirs` blocks.
struct SocketPair {
  UniqueFd ours;
  UniqueFd theirs;
};

inline void set_blocking(int fd, bool blocking) {
  const int flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

inline SocketPair unix_pair() {
  int fds[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  set_blocking(fds[0], false);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline SocketAddress local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length), 0);
  return SocketAddress::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage), length);
}

inline SocketAddress loopback(std::uint16_t port) {
  return SocketAddress::ip(*IpAddress::parse("127.0.0.1"), port);
}

/// A blocking connection to `to`.
inline UniqueFd dial(const SocketAddress& to) {
  UniqueFd fd(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), to.get(), to.length()), 0) << std::strerror(errno);
  return fd;
}

inline SocketPair tcp_pair() {
  const UniqueFd listener = listen_on(loopback(0), true);
  SocketPair pair;
  pair.theirs = dial(local_address(listener.get()));
  set_blocking(listener.get(), true);
  pair.ours = UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  EXPECT_TRUE(bool(pair.ours));
  return pair;
}

/// A port on loopback where nobody listens, kept from everybody else while it lives.
struct RefusingPort {
  UniqueFd fd;
  std::uint16_t port = 0;
  RefusingPort() : fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const SocketAddress any = loopback(0);
    EXPECT_EQ(::bind(fd.get(), any.get(), any.length()), 0);
    port = local_address(fd.get()).port();
  }
};

inline void put(int fd, std::string_view text) {
  ASSERT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

/// Up to `size` bytes of one blocking read; "<eof>" and "<error N>" otherwise.
inline std::string get(int fd, std::size_t size = 65536) {
  std::string text(size, '\0');
  const ssize_t n = ::recv(fd, text.data(), size, 0);
  if (n == 0) return "<eof>";
  if (n < 0) return "<error " + std::to_string(errno) + ">";
  text.resize(static_cast<std::size_t>(n));
  return text;
}

/// Closes with a reset.
inline void break_off(UniqueFd& fd) {
  const linger reset{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  fd.reset();
}

/// A folder of the test's own, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "headgate-test-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace headgate
