// SPDX-License-Identifier: Apache-2.0
// A Redis whose every answer a test decides: RESP over a unix socket, one thread for each connection.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "tests/unit/base/sockets.h"

namespace headgate::ratelimit {

class FakeRedis {
 public:
  using Command = std::vector<std::string>;
  /// The answer as it goes over the wire; kSilence: none; kHangUp: the connection ends.
  using Answer = std::function<std::string(const Command&)>;
  static constexpr const char* kSilence = "";
  static constexpr const char* kHangUp = "hang up";

  FakeRedis(const std::string& path, Answer tokens) : tokens_(std::move(tokens)) {
    listener_ = listen_on(SocketAddress::unix_path(path), false);
    set_blocking(listener_.get(), true);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~FakeRedis() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const auto& connection : connections_) ::shutdown(connection.get(), SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
  }

  /// Those that asked for tokens.
  std::vector<Command> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  /// All the others but heartbeats.
  std::vector<Command> others() {
    const std::lock_guard lock(mutex_);
    return others_;
  }
  int instances = 1;
  std::string heartbeat;  ///< in place of that number

  static std::string numbers(const std::vector<long>& list) {
    std::string out = "*" + std::to_string(list.size()) + "\r\n";
    for (const long number : list) out += ":" + std::to_string(number) + "\r\n";
    return out;
  }

 private:
  void accept_all() {
    for (;;) {
      UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      const std::lock_guard lock(mutex_);
      const int number = fd.get();
      connections_.push_back(std::move(fd));
      threads_.emplace_back([this, number] { serve(number); });
    }
  }

  void serve(int fd) {
    std::string in;
    char block[65536];
    for (;;) {
      Command command;
      while (take(in, command)) {
        const std::string answer = answer_of(command);
        if (answer == kHangUp) {
          ::shutdown(fd, SHUT_RDWR);
          return;
        }
        if (!answer.empty() && ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
        command.clear();
      }
      const ssize_t n = ::recv(fd, block, sizeof block, 0);
      if (n <= 0) return;
      in.append(block, static_cast<std::size_t>(n));
    }
  }

  std::string answer_of(const Command& command) {
    const bool script = command[0] == "EVAL" || command[0] == "EVALSHA";
    if (script && command.size() > 3 && command[3] == "headgate:instances") {
      return heartbeat.empty() ? ":" + std::to_string(instances) + "\r\n" : heartbeat;
    }
    {
      const std::lock_guard lock(mutex_);
      (script ? asked_ : others_).push_back(command);
    }
    if (script) return tokens_(command);
    if (command[0] == "SCRIPT") return "$40\r\n" + std::string(40, 'a') + "\r\n";
    return "+OK\r\n";
  }

  /// One whole command off the front.
  static bool take(std::string& in, Command& out) {
    std::size_t at = 0;
    const auto line = [&](long& number) {
      const auto end = in.find("\r\n", at);
      if (end == std::string::npos) return false;
      number = std::stol(in.substr(at + 1, end - at - 1));
      at = end + 2;
      return true;
    };
    out.clear();
    long count = 0;
    if (!line(count)) return false;
    for (long i = 0; i < count; ++i) {
      long size = 0;
      if (!line(size) || in.size() < at + static_cast<std::size_t>(size) + 2) return false;
      out.push_back(in.substr(at, static_cast<std::size_t>(size)));
      at += static_cast<std::size_t>(size) + 2;
    }
    in.erase(0, at);
    return true;
  }

  const Answer tokens_;
  UniqueFd listener_;
  std::thread acceptor_;
  std::mutex mutex_;
  std::list<UniqueFd> connections_;
  std::list<std::thread> threads_;
  std::vector<Command> asked_;
  std::vector<Command> others_;
};

}  // namespace headgate::ratelimit
