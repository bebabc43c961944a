// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/admin_client.h"

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/unique_fd.h"
#include "config/units.h"

namespace headgate::cli {
namespace {

using namespace std::chrono_literals;

TEST(AdminReply, EndsByLengthChunksOrConnection) {
  EXPECT_EQ(parse_reply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc")->body, "ab");
  EXPECT_EQ(parse_reply("HTTP/1.1 200 OK\r\n\r\nabc")->body, "abc");
  EXPECT_EQ(parse_reply("HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n")->body,
            "abc");
  EXPECT_EQ(parse_reply("HTTP/1.1 400 Bad\r\n\r\n")->status, 400);
}

TEST(AdminReply, RefusesWhatIsCutOffOrNoHttp) {
  for (const char* text :
       {"", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"}) {
    EXPECT_FALSE(parse_reply(text)) << text;
  }
}

/// A unix socket on which one connection is served by `serve` on a thread of its own.
class Peer {
 public:
  explicit Peer(std::function<void(int)> serve)
      : path_(testing::TempDir() + "headgate_admin_" + std::to_string(::getpid()) + ".sock") {
    std::filesystem::remove(path_);
    const auto address = SocketAddress::unix_path(path_);
    listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(::bind(listener_.get(), address.get(), address.length()), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::thread([this, serve = std::move(serve)] {
      const UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
      if (fd) serve(fd.get());
    });
  }
  ~Peer() {
    thread_.join();
    std::filesystem::remove(path_);
  }
  config::Address address() const { return *config::parse_listen_address("unix:" + path_); }

 private:
  std::string path_;
  UniqueFd listener_;
  std::thread thread_;
};

std::string read_head(int fd) {
  std::string text;
  std::array<char, 1024> block;
  while (text.find("\r\n\r\n") == std::string::npos) {
    const auto got = ::recv(fd, block.data(), block.size(), 0);
    if (got <= 0) break;
    text.append(block.data(), static_cast<std::size_t>(got));
  }
  return text;
}

void write_text(int fd, const std::string& text) {
  EXPECT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
}

TEST(AdminClient, SendsOneRequestWithItsToken) {
  std::string seen;
  config::Parsed<AdminReply> reply = config::ParseError{};
  {
    Peer peer([&](int fd) {
      seen = read_head(fd);
      write_text(fd, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok");
    });
    reply = call_admin(peer.address(), {"POST", "/v1/reload", "secret", 10s});
  }
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 202);
  EXPECT_EQ(reply->body, "ok");
  EXPECT_EQ(seen,
            "POST /v1/reload HTTP/1.1\r\nHost: headgate\r\nConnection: close\r\nAuthorization: Bearer secret\r\n"
            "Content-Length: 0\r\n\r\n");
}

TEST(AdminClient, GivesUpOnAPeerThatIsSilent) {
  Peer peer([](int fd) {
    read_head(fd);
    read_head(fd);  // until the client has gone
  });
  const auto reply = call_admin(peer.address(), {"GET", "/v1/status", "", 50ms});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message, "cannot reach " + peer.address().text + ": Connection timed out");
}

TEST(AdminClient, GivesUpOnAPeerThatNeverEnds) {
  Peer peer([](int fd) {
    read_head(fd);
    const std::string block(64 * 1024, 'x');
    while (::send(fd, block.data(), block.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  const auto reply = call_admin(peer.address(), {"GET", "/v1/status", "", 60s});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message, "cannot reach " + peer.address().text + ": Message too long");
}

TEST(AdminClient, NamesTheAddressThatNobodyListensOn) {
  const auto address = *config::parse_listen_address("unix:/does/not/exist.sock");
  const auto reply = call_admin(address, {"GET", "/", "", 1s});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().message, "cannot reach unix:/does/not/exist.sock: No such file or directory");
}

}  // namespace
}  // namespace headgate::cli
