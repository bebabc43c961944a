// SPDX-License-Identifier: Apache-2.0
// The program without its main thread: one real worker on loopback, configured by YAML. A test holds both of its ends,
// the client's and the origin's, as plain blocking sockets, so that it decides what happens when.
#pragma once

#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/time.h>

#include "proxy/instance.h"
#include "proxy/worker.h"
#include "tests/unit/base/sockets.h"
#include "tests/unit/config/read.h"

namespace headgate::proxy {

inline config::Config read_config(const std::string& yaml) {
  return headgate::read_config(yaml, configuration_checks());
}

/// One for all generations of a test program that need one.
inline upstream::Monitor& monitor() {
  static observe::Events events;
  static upstream::Monitor one(1, config::Dns(), events);
  return one;
}

inline traffic::Traffic& traffic() {
  static observe::Events events;
  static traffic::Traffic one(events, [] { monitor().announce(); });
  return one;
}

/// One end of a connection, read as HTTP/1. Waits have a generous limit, so that a failure is one and not a hang.
class Peer {
 public:
  explicit Peer(UniqueFd fd) : fd_(std::move(fd)) {
    const timeval limit{20, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }

  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) return;  // the other side has seen enough
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  void reset() { break_off(fd_); }

  struct Message {
    std::string head;    ///< with its empty line; "" when the connection ended before it
    std::string body;    ///< chunks joined
    bool whole = false;  ///< ended as its framing says
    int status() const { return head.size() > 12 ? std::atoi(head.c_str() + 9) : 0; }
    /// A field's value; "<none>", or all of them joined by "|".
    std::string field(std::string_view name) const {
      std::string values = "<none>";
      std::size_t line = head.find("\r\n");
      while (line != std::string::npos && line + 2 < head.size()) {
        const auto end = head.find("\r\n", line + 2);
        const std::string_view text = std::string_view(head).substr(line + 2, end - line - 2);
        const auto colon = text.find(':');
        if (colon != std::string_view::npos && http::iequals(text.substr(0, colon), name)) {
          const std::string value(http::trim(text.substr(colon + 1)));
          values = values == "<none>" ? value : values + "|" + value;
        }
        line = end;
      }
      return values;
    }
  };

  std::string read_head() {
    for (;;) {
      const auto end = in_.find("\r\n\r\n");
      if (end != std::string::npos) return cut(end + 4);
      if (!more()) return {};
    }
  }

  /// A request or an answer. `bodyless`: of a HEAD, 204, 304 or 101.
  Message read(bool bodyless = false) {
    Message message;
    message.head = read_head();
    if (message.head.empty()) return message;
    const bool request = !message.head.starts_with("HTTP/");
    const std::string length = message.field("Content-Length");
    if (bodyless) {
      message.whole = true;
    } else if (message.field("Transfer-Encoding") == "chunked") {
      message.whole = read_chunks(message.body);
    } else if (length != "<none>" || request) {
      const std::size_t size = length == "<none>" ? 0 : std::stoul(length);
      while (in_.size() < size && more()) {
      }
      message.whole = in_.size() >= size;
      message.body = cut(std::min(size, in_.size()));
    } else {
      while (more()) {
      }
      message.whole = end_ == End::kOrderly;
      message.body = cut(in_.size());
    }
    return message;
  }

  /// What arrives until `text` has been seen, or the end.
  std::string read_until(std::string_view text) {
    for (;;) {
      const auto at = in_.find(text);
      if (at != std::string::npos) return cut(at + text.size());
      if (!more()) return cut(in_.size());
    }
  }

  /// True when the other side has ended the connection, orderly or not, having sent nothing more.
  bool ended() { return in_.empty() && !more(); }

 private:
  enum class End { kNone, kOrderly, kBroken };

  bool more() {
    char block[65536];
    const ssize_t n = ::recv(fd_.get(), block, sizeof block, 0);
    if (n <= 0) {
      end_ = n == 0 ? End::kOrderly : End::kBroken;
      EXPECT_FALSE(n < 0 && errno == EAGAIN) << "nothing arrived in time";
      return false;
    }
    in_.append(block, static_cast<std::size_t>(n));
    return true;
  }
  std::string cut(std::size_t size) {
    std::string text = in_.substr(0, size);
    in_.erase(0, size);
    return text;
  }
  bool read_chunks(std::string& body) {
    for (;;) {
      const std::string line = read_until("\r\n");
      if (!line.ends_with("\r\n")) return false;
      const std::size_t size = std::stoul(line, nullptr, 16);
      if (size == 0) return read_until("\r\n").ends_with("\r\n");
      while (in_.size() < size + 2 && more()) {
      }
      if (in_.size() < size + 2) {
        body += cut(in_.size());
        return false;
      }
      body += cut(size);
      cut(2);
    }
  }

  UniqueFd fd_;
  std::string in_;
  End end_ = End::kNone;
};

/// An origin that the test answers by hand.
class Origin {
 public:
  Origin() : listener_(listen_on(loopback(0), true)), port_(local_address(listener_.get()).port()) {
    set_blocking(listener_.get(), true);
    const timeval limit{20, 0};
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  Peer accept() {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(bool(fd)) << "no connection came";
    return Peer(std::move(fd));
  }
  /// True when a connection waits to be accepted.
  bool asked() {
    set_blocking(listener_.get(), false);
    const UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    set_blocking(listener_.get(), true);
    return bool(fd);
  }
  void stop_listening() { listener_.reset(); }

 private:
  UniqueFd listener_;
  std::uint16_t port_;
};

class Edge {
 public:
  /// `yaml`: everything but the access log; with no `listeners:` a plain one is added.
  explicit Edge(const std::string& yaml) {
    std::string text = "access_log: { format: json, output: \"" + log_path() + "\" }\n" + yaml;
    if (yaml.find("listeners:") == std::string::npos) text += "\nlisteners: [{ address: \"127.0.0.1:0\" }]\n";
    generation_ = std::make_shared<const Generation>(1, read_config(text), monitor_, traffic_);
    limits_.adopt(generation_->config, ratelimit::nanos_of(Clock::now()));
    access_log_.emplace(generation_->config.access_log);
    shared_.emplace(
        Shared{1, *access_log_, metrics_, monitor_, connections_, std::make_shared<tls::TicketKeys>(), limits_,
               passwords_, bodies_});
    listeners_ = bind_listeners(generation_->config.listeners, {}, 1);
    worker_ = std::make_unique<Worker>(0, *shared_);
    worker_->start(generation_, listeners_);
    for (const auto& listener : listeners_) listener->sockets->release();
  }
  ~Edge() {
    if (worker_) stop();
  }

  Peer client(std::size_t listener = 0) { return Peer(dial(listeners_[listener]->local)); }
  std::uint16_t port(std::size_t listener = 0) const { return listeners_[listener]->local.port(); }
  Worker& worker() { return *worker_; }
  const observe::Metrics& metrics() const { return metrics_; }
  ConnectionCount& connections() { return connections_; }
  const BodyBudget& bodies() const { return bodies_; }
  traffic::Traffic& traffic() { return traffic_; }

  /// One request on a connection of its own.
  Peer::Message ask(std::string_view request, bool bodyless = false) {
    Peer peer = client();
    peer.send(request);
    return peer.read(bodyless);
  }

  /// Ends the worker; the lines of the access log.
  std::vector<nlohmann::json> stop(Duration grace = std::chrono::seconds(20)) {
    worker_->stop(Clock::now() + grace);
    return finish();
  }
  /// After worker().stop().
  std::vector<nlohmann::json> finish() {
    worker_->join();
    worker_.reset();
    access_log_.reset();
    std::vector<nlohmann::json> lines;
    std::ifstream file(log_path());
    for (std::string line; std::getline(file, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

 private:
  std::string log_path() const { return folder_ / "access.log"; }

  TemporaryFolder folder_;
  observe::Metrics metrics_{1};
  observe::Events events_;
  upstream::Monitor monitor_{1, config::Dns(), events_};
  traffic::Traffic traffic_{events_, [this] { monitor_.announce(); }};
  ConnectionCount connections_;
  ratelimit::Stores limits_;
  auth::PasswordThreads passwords_;
  BodyBudget bodies_;
  std::shared_ptr<const Generation> generation_;
  std::optional<observe::AccessLog> access_log_;
  std::optional<Shared> shared_;
  BoundListeners listeners_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace headgate::proxy
