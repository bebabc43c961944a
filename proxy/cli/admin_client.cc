// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/admin_client.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>
#include <system_error>
#include <vector>

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/ip.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "http/fields.h"

namespace headgate::cli {
namespace {

using config::Parsed;
using config::ParseError;

constexpr std::size_t kMostBytes = 16 * config::kMiB;

std::string error_text(int error) {
  return std::system_category().message(error);
}

/// 0, or the error.
int wait_for(int fd, short events, TimePoint deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd waiting{fd, events, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(std::clamp<long long>(left, 0, 1'000'000)));
    if (ready > 0) return 0;
    if (ready == 0) return ETIMEDOUT;
    if (errno != EINTR) return errno;
  }
}

/// Connected, or `error` says why not.
UniqueFd connect_to(const SocketAddress& address, TimePoint deadline, int& error) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  error = 0;
  if (!fd) {
    error = errno;
    return fd;
  }
  if (::connect(fd.get(), address.get(), address.length()) == 0) return fd;
  error = errno;
  if (error == EINPROGRESS) {
    error = wait_for(fd.get(), POLLOUT, deadline);
    socklen_t length = sizeof error;
    if (error == 0 && ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  }
  if (error != 0) fd.reset();
  return fd;
}

Parsed<std::vector<SocketAddress>> resolve(const config::Address& address) {
  using Kind = config::Address::Kind;
  switch (address.kind) {
    case Kind::kUnix:
      return std::vector{SocketAddress::unix_path(address.path)};
    case Kind::kIp:
      return std::vector{SocketAddress::ip(address.ip, address.port)};
    case Kind::kAny:
      return std::vector{SocketAddress::ip(*IpAddress::parse("127.0.0.1"), address.port)};
    case Kind::kName:
      break;
  }
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &wanted, &found);
  if (failed != 0) return ParseError{address.text + ": " + ::gai_strerror(failed)};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  std::vector<SocketAddress> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    addresses.push_back(SocketAddress::from_sockaddr(each->ai_addr, each->ai_addrlen));
  }
  return addresses;
}

int send_all(int fd, std::string_view text, TimePoint deadline) {
  while (!text.empty()) {
    const ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == EINTR) {
      if (const int error = wait_for(fd, POLLOUT, deadline)) return error;
    } else {
      return errno;
    }
  }
  return 0;
}

int receive_all(int fd, std::string& text, TimePoint deadline) {
  std::array<char, 16 * 1024> block;
  while (text.size() <= kMostBytes) {
    const ssize_t got = ::recv(fd, block.data(), block.size(), 0);
    if (got == 0) return 0;
    if (got > 0) {
      text.append(block.data(), static_cast<std::size_t>(got));
    } else if (errno == EAGAIN || errno == EINTR) {
      if (const int error = wait_for(fd, POLLIN, deadline)) return error;
    } else {
      return errno;
    }
  }
  return EMSGSIZE;
}

std::optional<std::string> decode_chunked(std::string_view text) {
  std::string body;
  for (;;) {
    const auto line_end = text.find("\r\n");
    if (line_end == std::string_view::npos) return std::nullopt;
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + line_end, size, 16);
    if (error != std::errc() || end == text.data()) return std::nullopt;
    text.remove_prefix(line_end + 2);
    if (size == 0) return body;
    if (text.size() < 2 || size > text.size() - 2 || text.substr(size, 2) != "\r\n") return std::nullopt;
    body += text.substr(0, size);
    text.remove_prefix(size + 2);
  }
}

std::string_view next_line(std::string_view& text) {
  const auto end = text.find("\r\n");
  const auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
  return line;
}

}  // namespace

Parsed<AdminReply> parse_reply(std::string_view text) {
  const ParseError broken{"the answer is not one of an HTTP server, or was cut off"};
  const auto head_end = text.find("\r\n\r\n");
  if (head_end == std::string_view::npos || !text.starts_with("HTTP/1.")) return broken;
  std::string_view head = text.substr(0, head_end);
  std::string_view body = text.substr(head_end + 4);
  const std::string_view status_line = next_line(head);
  AdminReply reply;
  const auto space = status_line.find(' ');
  const auto digits = space == std::string_view::npos ? std::string_view() : status_line.substr(space + 1, 3);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), reply.status);
  if (error != std::errc() || digits.size() != 3 || end != digits.data() + 3) return broken;
  while (!head.empty()) {
    const std::string_view line = next_line(head);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return broken;
    const std::string_view value = http::trim(line.substr(colon + 1));
    if (http::iequals(line.substr(0, colon), "transfer-encoding")) {
      auto decoded = decode_chunked(body);
      if (!decoded) return broken;
      reply.body = *std::move(decoded);
      return reply;
    }
    if (http::iequals(line.substr(0, colon), "content-length")) {
      std::size_t length = 0;
      const auto [last, bad] = std::from_chars(value.data(), value.data() + value.size(), length);
      if (bad != std::errc() || last != value.data() + value.size() || length > body.size()) return broken;
      body = body.substr(0, length);
    }
  }
  reply.body = body;
  return reply;
}

namespace {

/// Connected, and the request sent; or why not.
Parsed<UniqueFd> send_request(const config::Address& address, const AdminRequest& request, TimePoint deadline) {
  const auto failed = [&](int error) { return ParseError{"cannot reach " + address.text + ": " + error_text(error)}; };
  const auto targets = resolve(address);
  if (!targets) return targets.error();
  int error = EADDRNOTAVAIL;
  UniqueFd fd;
  for (const SocketAddress& target : *targets) {
    fd = connect_to(target, deadline, error);
    if (fd) break;
  }
  if (!fd) return failed(error);
  std::string text = request.method + " " + request.path + " HTTP/1.1\r\nHost: headgate\r\nConnection: close\r\n";
  if (!request.token.empty()) text += "Authorization: Bearer " + request.token + "\r\n";
  if (!request.last_event_id.empty()) text += "Last-Event-ID: " + request.last_event_id + "\r\n";
  if (!request.body.empty()) text += "Content-Type: application/json\r\n";
  if (request.method != "GET") text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  text += "\r\n" + request.body;
  error = send_all(fd.get(), text, deadline);
  if (error != 0) return failed(error);
  return fd;
}

Parsed<AdminReply> read_whole(const config::Address& address, int fd, std::string answer, TimePoint deadline) {
  if (const int error = receive_all(fd, answer, deadline)) {
    return ParseError{"cannot reach " + address.text + ": " + error_text(error)};
  }
  auto reply = parse_reply(answer);
  if (!reply) return ParseError{address.text + ": " + reply.error().message};
  return reply;
}

/// What comes next; empty at the end of the connection, or `error`.
std::string receive_some(int fd, TimePoint deadline, int& error) {
  std::array<char, 16 * 1024> block;
  for (;;) {
    const ssize_t got = ::recv(fd, block.data(), block.size(), 0);
    error = 0;
    if (got >= 0) return {block.data(), static_cast<std::size_t>(got)};
    error = errno;
    if (error == EAGAIN || error == EINTR) error = wait_for(fd, POLLIN, deadline);
    if (error != 0) return {};
  }
}

}  // namespace

bool ChunkReader::read(std::string_view text, const std::function<void(std::string_view)>& piece) {
  constexpr std::size_t kLongestLine = 256;
  while (!text.empty() && state_ != State::kEnd) {
    if (state_ == State::kData) {
      const auto data = text.substr(0, left_);
      piece(data);
      text.remove_prefix(data.size());
      left_ -= data.size();
      if (left_ == 0) state_ = State::kDataEnd;
      continue;
    }
    line_ += text.front();
    text.remove_prefix(1);
    if (line_.size() > kLongestLine) return false;
    if (!line_.ends_with("\r\n")) continue;
    if (state_ == State::kDataEnd) {
      if (line_.size() != 2) return false;
      state_ = State::kSize;
    } else {
      const auto [end, error] = std::from_chars(line_.data(), line_.data() + line_.size(), left_, 16);
      if (error != std::errc() || end == line_.data()) return false;
      state_ = left_ == 0 ? State::kEnd : State::kData;
    }
    line_.clear();
  }
  return true;
}

Parsed<AdminReply> call_admin(const config::Address& address, const AdminRequest& request) {
  const TimePoint deadline = Clock::now() + request.timeout;
  const auto fd = send_request(address, request, deadline);
  if (!fd) return fd.error();
  return read_whole(address, fd->get(), {}, deadline);
}

Parsed<AdminReply> follow_admin(const config::Address& address, const AdminRequest& request,
                                const std::function<void(std::string_view)>& piece) {
  constexpr std::string_view kHeadEnd = "\r\n\r\n";
  TimePoint deadline = Clock::now() + request.timeout;
  const auto fd = send_request(address, request, deadline);
  if (!fd) return fd.error();
  const auto broken = [&](const std::string& why) { return ParseError{address.text + ": " + why}; };
  std::string text;
  int error = 0;
  while (text.find(kHeadEnd) == std::string::npos) {
    const std::string more = receive_some(fd->get(), deadline, error);
    if (error != 0) return broken(error_text(error));
    if (more.empty() || text.size() > kMostBytes) return broken("the answer was cut off");
    text += more;
  }
  const auto head_end = text.find(kHeadEnd) + kHeadEnd.size();
  if (!text.starts_with("HTTP/1.1 200 ")) return read_whole(address, fd->get(), std::move(text), deadline);
  ChunkReader chunks;
  std::string more = text.substr(head_end);
  for (;;) {
    if (!chunks.read(more, piece)) return broken("the answer is not one of headgate");
    if (chunks.finished()) return AdminReply{200, {}};
    deadline = Clock::now() + request.timeout;
    more = receive_some(fd->get(), deadline, error);
    if (error != 0) return broken(error_text(error));
    if (more.empty()) return broken("the answer was cut off");
  }
}

}  // namespace headgate::cli
