// SPDX-License-Identifier: Apache-2.0
// A name server on the test's own loop, over UDP and TCP, whose every answer a test decides.
#pragma once

#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <sys/epoll.h>

#include "config/model.h"
#include "tests/unit/base/run.h"
#include "tests/unit/base/sockets.h"

namespace headgate::upstream {

inline std::vector<IpAddress> addresses(const std::vector<std::string>& texts) {
  std::vector<IpAddress> list;
  for (const auto& text : texts) list.push_back(*IpAddress::parse(text));
  return list;
}

/// What the server says about a name.
struct Zone {
  std::vector<IpAddress> v4 = {};
  std::vector<IpAddress> v6 = {};
  std::uint32_t ttl = 60;
  std::vector<std::string> aliases = {};  // a chain of CNAME before the addresses
  std::uint32_t alias_ttl = 60;
  int code = 0;     // RCODE; SERVFAIL 2, NXDOMAIN 3, REFUSED 5
  int v6_code = 0;  // of the question for IPv6 alone
  bool silent = false;
  bool v6_silent = false;
  bool truncated = false;   // over UDP, however short
  std::string noise = {};   // sent before the answer, as a datagram of its own
  std::string broken = {};  // in place of the records, which are said to be five
};

class DnsServer {
 public:
  explicit DnsServer(Loop& loop) : loop_(loop), heard_(loop), datagrams_(*this), listening_(*this) {
    // The same port for both: whatever TCP gets may be taken for UDP.
    for (int i = 0; i < 100 && !datagrams_.fd; ++i) {
      listening_.fd = listen_on(loopback(0), true);
      UniqueFd udp(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      const SocketAddress address = local_address(listening_.fd.get());
      if (::bind(udp.get(), address.get(), address.length()) == 0) datagrams_.fd = std::move(udp);
    }
    EXPECT_TRUE(bool(datagrams_.fd));
    EXPECT_TRUE(loop.add(datagrams_.fd.get(), EPOLLIN, datagrams_));
    EXPECT_TRUE(loop.add(listening_.fd.get(), EPOLLIN, listening_));
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  Zone& operator[](const std::string& name) { return zones_[name]; }  // a name that is not there is NXDOMAIN
  void forget(const std::string& name) { zones_.erase(name); }
  int asked(const std::string& name) { return asked_[name]; }  // the questions for IPv4: one for each try of a lookup
  int over_tcp() const { return over_tcp_; }

  config::Address address() const {
    config::Address address;
    address.kind = config::Address::Kind::kIp;
    address.ip = *IpAddress::parse("127.0.0.1");
    address.port = local_address(datagrams_.fd.get()).port();
    return address;
  }

  /// Returns when `name` has been asked for so many times.
  Task<> until_asked(std::string name, int times) {
    while (asked(name) < times) {
      heard_.clear();
      co_await heard_.wait(kNoDeadline);
    }
  }

 private:
  struct Datagrams final : Readiness {
    explicit Datagrams(DnsServer& s) : server(s) {}
    void on_events(std::uint32_t) override {
      char bytes[2048];
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      const auto size = ::recvfrom(fd.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (size <= 0) return;
      for (const std::string& reply : server.replies(std::string(bytes, static_cast<std::size_t>(size)), false)) {
        ::sendto(fd.get(), reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&from), length);
      }
    }
    DnsServer& server;
    UniqueFd fd;
  };

  struct Stream final : Readiness {
    explicit Stream(DnsServer& s) : server(s) {}
    void on_events(std::uint32_t) override {
      char bytes[2048];
      const auto size = ::recv(fd.get(), bytes, sizeof bytes, 0);
      if (size <= 0) {
        server.loop_.remove(fd.get());
        fd.reset();
        return;
      }
      got.append(bytes, static_cast<std::size_t>(size));
      while (got.size() >= 2) {
        const auto wanted =
            std::size_t{2} + static_cast<unsigned char>(got[0]) * 256u + static_cast<unsigned char>(got[1]);
        if (got.size() < wanted) return;
        std::string out;
        for (const std::string& reply : server.replies(got.substr(2, wanted - 2), true)) {
          out += number(reply.size()) + reply;
        }
        got.erase(0, wanted);
        set_blocking(fd.get(), true);  // at most 64 KiB, which loopback takes
        EXPECT_EQ(::send(fd.get(), out.data(), out.size(), MSG_NOSIGNAL), static_cast<ssize_t>(out.size()));
        set_blocking(fd.get(), false);
      }
    }
    DnsServer& server;
    UniqueFd fd;
    std::string got;
  };

  struct Listening final : Readiness {
    explicit Listening(DnsServer& s) : server(s) {}
    void on_events(std::uint32_t) override {
      auto stream = std::make_unique<Stream>(server);
      stream->fd = UniqueFd(::accept4(fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!stream->fd) return;
      EXPECT_TRUE(server.loop_.add(stream->fd.get(), EPOLLIN, *stream));
      server.streams_.push_back(std::move(stream));
    }
    DnsServer& server;
    UniqueFd fd;
  };

  static std::string number(std::size_t value, int bytes = 2) {
    std::string out;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
    return out;
  }
  static std::string encoded(const std::string& name) {
    std::string out;
    for (std::size_t at = 0; at < name.size();) {
      const auto end = std::min(name.find('.', at), name.size());
      out += static_cast<char>(end - at);
      out += name.substr(at, end - at);
      at = end + 1;
    }
    return out + '\0';
  }
  static std::string record(const std::string& owner, int type, std::uint32_t ttl, const std::string& data) {
    return owner + number(static_cast<std::size_t>(type)) + number(1) + number(ttl, 4) + number(data.size()) + data;
  }

  std::vector<std::string> replies(const std::string& question, bool tcp) {
    if (question.size() < 17) return {};
    std::string name;
    std::size_t at = 12;
    while (at < question.size() && question[at] != 0) {
      const auto length = static_cast<std::size_t>(question[at]);
      name += (name.empty() ? "" : ".") + question.substr(at + 1, length);
      at += length + 1;
    }
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const bool v6 = static_cast<unsigned char>(question.at(at + 2)) == 28;
    const std::string asked = question.substr(12, at + 5 - 12);
    if (!v6) ++asked_[name];
    if (tcp) ++over_tcp_;
    heard_.set();

    const auto found = zones_.find(name);
    Zone zone;
    zone.code = 3;
    if (found != zones_.end()) zone = found->second;
    if (zone.silent || (v6 && zone.v6_silent)) return {};
    std::vector<std::string> out;
    if (!zone.noise.empty()) out.push_back(zone.noise);
    out.push_back(reply(question.substr(0, 2), asked, zone, v6, tcp));
    return out;
  }

  static std::string reply(const std::string& id, const std::string& asked, const Zone& zone, bool v6, bool tcp) {
    std::string owner = "\xc0\x0c";
    std::string records;
    std::size_t count = 0;
    for (const std::string& alias : zone.aliases) {
      records += record(owner, 5, zone.alias_ttl, encoded(alias));
      owner = encoded(alias);
      ++count;
    }
    for (const IpAddress& address : v6 ? zone.v6 : zone.v4) {
      const std::string bytes(reinterpret_cast<const char*>(address.bytes().data()), 16);
      records += record(owner, v6 ? 28 : 1, zone.ttl, v6 ? bytes : bytes.substr(12));
      ++count;
    }
    if (!zone.broken.empty()) {
      records = zone.broken;
      count = 5;
    }
    const int code = v6 && zone.v6_code != 0 ? zone.v6_code : zone.code;
    const bool cut = !tcp && (zone.truncated || 12 + asked.size() + records.size() > 512);
    const std::size_t flags = 0x8180u + static_cast<unsigned>(code) + (cut ? 0x200u : 0u);
    const std::size_t answers = cut || code != 0 ? 0 : count;
    return id + number(flags) + number(1) + number(answers) + number(0, 4) + asked + (answers == 0 ? "" : records);
  }

  Loop& loop_;
  Event heard_;
  Datagrams datagrams_;
  Listening listening_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::map<std::string, Zone> zones_;
  std::map<std::string, int> asked_;
  int over_tcp_ = 0;
};

/// A UDP port on loopback that answers nobody, kept from everybody else while it lives.
struct UnreachableServer {
  UniqueFd fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  std::uint16_t port = 0;
  UnreachableServer() {
    const SocketAddress any = loopback(0);
    EXPECT_EQ(::bind(fd.get(), any.get(), any.length()), 0);
    const SocketAddress own = local_address(fd.get());
    port = own.port();
    EXPECT_EQ(::connect(fd.get(), own.get(), own.length()), 0);  // takes from itself alone
  }
};

/// The files that a resolver reads, in a folder of the test's own.
class ResolverFiles {
 public:
  ResolverFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "headgate-dns-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    write("hosts", "");
    write("resolv.conf", "search\nnameserver 127.0.0.1\n");
  }
  ~ResolverFiles() { std::filesystem::remove_all(folder_); }
  ResolverFiles(const ResolverFiles&) = delete;
  ResolverFiles& operator=(const ResolverFiles&) = delete;

  /// As a new file, which takes the old one's place.
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / (name + ".new"), std::ios::binary) << text;
    std::filesystem::rename(folder_ / (name + ".new"), folder_ / name);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

 private:
  std::filesystem::path folder_;
};

}  // namespace headgate::upstream
