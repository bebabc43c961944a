// SPDX-License-Identifier: Apache-2.0
// origin PORT: the benchmarks' origin. One thread, epoll, keep-alive; /1k, /10k and /1m answer with that many bytes,
// /20k.json with a list in JSON, anything else with 1 KiB. It trusts its client (a proxy under test on loopback): it
// looks for the ends of heads and at nothing else in them, so that it costs as little as an origin can.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

std::string make_answer(std::size_t size) {
  std::string answer =
      "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
  answer.append(size, 'x');
  return answer;
}

/// A list as an API would give it, the same each time; filled up with blanks.
std::string make_json(std::size_t size) {
  std::string list = "[";
  std::uint32_t random = 1;
  const auto next = [&random](std::uint32_t below) {
    random = random * 1'664'525 + 1'013'904'223;
    return (random >> 8) % below;
  };
  while (list.size() < size - 256) {
    if (list.size() > 1) list += ',';
    list += "{\"id\":" + std::to_string(next(1'000'000)) + ",\"name\":\"Product " + std::to_string(next(5000)) +
            "\",\"price\":" + std::to_string(next(500)) + "." + std::to_string(10 + next(90)) +
            ",\"currency\":\"EUR\",\"in_stock\":" + (next(2) == 0 ? "true" : "false") + ",\"category\":\"" +
            (next(2) == 0 ? "kitchen" : "garden") + "\",\"sku\":\"" + std::to_string(next(1u << 24)) + "\"}";
  }
  list += ']';
  list.resize(size, ' ');
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
         list;
}

struct Connection {
  std::string in;
  std::string_view out;  // what is left of the answer being sent
};

struct Answers {
  std::string k1 = make_answer(1024);
  std::string k10 = make_answer(10 * 1024);
  std::string m1 = make_answer(1024 * 1024);
  std::string json = make_json(20 * 1024);

  std::string_view of(std::string_view head) const {
    const auto begin = head.find(' ');
    const auto target = begin == std::string_view::npos ? head : head.substr(begin + 1);
    if (target.starts_with("/10k")) return k10;
    if (target.starts_with("/1m")) return m1;
    if (target.starts_with("/20k.json")) return json;
    return k1;
  }
};

/// Sends what it can. False: the connection is of no more use.
bool send_rest(int fd, Connection& connection) {
  while (!connection.out.empty()) {
    const ssize_t n = ::send(fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    connection.out.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// Answers the heads that are complete, one after another.
bool answer_heads(int fd, Connection& connection, const Answers& answers) {
  std::size_t used = 0;
  while (connection.out.empty()) {
    const std::string_view rest = std::string_view(connection.in).substr(used);
    const auto end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) break;
    connection.out = answers.of(rest.substr(0, end));
    used += end + 4;
    if (!send_rest(fd, connection)) return false;
  }
  connection.in.erase(0, used);
  return connection.in.size() < 1024 * 1024;
}

bool serve(int fd, Connection& connection, const Answers& answers) {
  if (!send_rest(fd, connection)) return false;
  char buffer[16 * 1024];
  for (;;) {
    if (!answer_heads(fd, connection, answers)) return false;
    if (!connection.out.empty()) return true;
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN;
    connection.in.append(buffer, static_cast<std::size_t>(n));
    if (static_cast<std::size_t>(n) < sizeof buffer) return answer_heads(fd, connection, answers);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 0;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  ::setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  socklen_t length = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener, SOMAXCONN) != 0) {
    std::perror("origin");
    return 1;
  }
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  std::printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);

  const Answers answers;
  std::unordered_map<int, Connection> connections;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  epoll_event events[256];
  for (;;) {
    const int count = ::epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted < 0) continue;
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        event.data.fd = accepted;
        ::epoll_ctl(epoll, EPOLL_CTL_ADD, accepted, &event);
        connections[accepted];
      } else if (!serve(fd, connections[fd], answers)) {
        connections.erase(fd);
        ::close(fd);
      }
    }
  }
}
