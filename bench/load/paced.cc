// SPDX-License-Identifier: Apache-2.0
// paced PORT PATH SECONDS CONNECTIONS RATE: GETs at a fixed rate, whatever the server does (an open loop). A request's
// latency counts from the moment it was due, not from when a connection was free to send it: a server that stalls is
// charged for every request that should have gone out meanwhile. RATE 0 closes the loop: the next request goes as soon
// as an answer has come, which finds out how much the server can do.
//
// The first tenth of the time only warms up. Prints one line of JSON (microseconds); ends with 1 when an answer was
// bad.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;
using std::chrono::nanoseconds;

/// After the last request was due, answers are waited for no longer than this; what is missing then has failed.
constexpr auto kPatience = std::chrono::seconds(20);

struct Connection {
  int fd = -1;
  bool busy = false;
  TimePoint due{};
  std::string head;      // of the answer, until it is whole
  std::size_t rest = 0;  // bytes of its content still to come
  bool in_body = false;
};

struct Plan {
  std::string request;
  TimePoint begin;
  TimePoint counted_from;
  TimePoint end;
  nanoseconds interval{0};  // 0: a closed loop
};

class Generator {
 public:
  Generator(const Plan& plan, std::uint16_t port, std::size_t connections) : plan_(plan), connections_(connections) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < connections; ++i) {
      if (!open(i, port)) {
        std::perror("connect");
        std::exit(1);
      }
      idle_.push_back(i);
    }
  }

  void run() {
    next_due_ = plan_.begin;
    epoll_event events[256];
    for (;;) {
      const TimePoint now = SteadyClock::now();
      const bool all_sent = waiting_.empty() && (plan_.interval.count() == 0 || next_due_ >= plan_.end);
      if (now >= plan_.end && all_sent && idle_.size() == connections_.size()) return;
      if (now >= plan_.end + kPatience) {
        failed_ += waiting_.size() + connections_.size() - idle_.size();
        return;
      }
      send_due(now);
      const nanoseconds wait = until_next(SteadyClock::now());
      const timespec limit{static_cast<time_t>(wait.count() / 1'000'000'000),
                           static_cast<long>(wait.count() % 1'000'000'000)};
      const int count = ::epoll_pwait2(epoll_, events, 256, &limit, nullptr);
      for (int i = 0; i < count; ++i) receive(events[i].data.u64);
      if (failed_ > 0) return;
    }
  }

  bool report(double seconds) {
    std::sort(latencies_.begin(), latencies_.end());
    const auto at = [&](double share) {
      if (latencies_.empty()) return 0.0;
      const auto index = static_cast<std::size_t>(share * static_cast<double>(latencies_.size()));
      return static_cast<double>(latencies_[std::min(index, latencies_.size() - 1)]) / 1000.0;
    };
    std::printf(
        "{\"done\": %zu, \"failed\": %zu, \"rate\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
        "\"p999_us\": %.1f, \"max_us\": %.1f}\n",
        latencies_.size(), failed_, static_cast<double>(latencies_.size()) / seconds, at(0.5), at(0.9), at(0.99),
        at(0.999), at(1.0));
    return failed_ == 0 && !latencies_.empty();
  }

 private:
  bool open(std::size_t index, std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    connections_[index].fd = fd;
    return ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  /// Queues what has become due, and sends as much of it as there are free connections.
  void send_due(TimePoint now) {
    if (plan_.interval.count() == 0) {
      while (now < plan_.end && !idle_.empty()) send(now);
      return;
    }
    for (; next_due_ <= now && next_due_ < plan_.end; next_due_ += plan_.interval) waiting_.push_back(next_due_);
    while (!waiting_.empty() && !idle_.empty()) {
      const TimePoint due = waiting_.front();
      waiting_.pop_front();
      send(due);
    }
  }

  void send(TimePoint due) {
    // The one that has been idle longest: all connections take part, whatever the rate.
    Connection& one = connections_[idle_.front()];
    idle_.pop_front();
    one.busy = true;
    one.due = due;
    const ssize_t n = ::send(one.fd, plan_.request.data(), plan_.request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n != static_cast<ssize_t>(plan_.request.size())) ++failed_;
  }

  nanoseconds until_next(TimePoint now) const {
    const nanoseconds rest = std::max<nanoseconds>(plan_.end - now, std::chrono::milliseconds(10));
    if (plan_.interval.count() == 0 || next_due_ >= plan_.end || idle_.empty()) return rest;
    return std::clamp<nanoseconds>(next_due_ - now, nanoseconds(0), rest);
  }

  void receive(std::size_t index) {
    static char block[256 * 1024];
    Connection& one = connections_[index];
    const ssize_t n = ::recv(one.fd, block, sizeof block, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0 || !one.busy || !take(one, {block, static_cast<std::size_t>(n)})) {
      ++failed_;
      return;
    }
    if (one.busy) return;
    const TimePoint now = SteadyClock::now();
    if (one.due >= plan_.counted_from && one.due < plan_.end) {
      latencies_.push_back(std::chrono::duration_cast<nanoseconds>(now - one.due).count());
    }
    idle_.push_back(index);
  }

  /// False: this is not an answer that we accept.
  static bool take(Connection& one, std::string_view bytes) {
    if (!one.in_body) {
      one.head += bytes;
      const auto end = one.head.find("\r\n\r\n");
      if (end == std::string::npos) return one.head.size() < 64 * 1024;
      std::size_t length = 0;
      if (!one.head.starts_with("HTTP/1.1 200") ||
          !content_length(std::string_view(one.head).substr(0, end + 2), length)) {
        return false;
      }
      const std::size_t got = one.head.size() - end - 4;
      if (got > length) return false;
      one.rest = length - got;
      one.in_body = true;
      one.head.clear();
    } else {
      if (bytes.size() > one.rest) return false;
      one.rest -= bytes.size();
    }
    if (one.rest == 0) one.in_body = one.busy = false;
    return true;
  }

  static bool content_length(std::string_view head, std::size_t& value) {
    static constexpr std::string_view kName = "\r\ncontent-length:";
    for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
      if (head.size() - at < kName.size() || ::strncasecmp(head.data() + at, kName.data(), kName.size()) != 0) continue;
      at += kName.size();
      while (at < head.size() && head[at] == ' ') ++at;
      return std::from_chars(head.data() + at, head.data() + head.size(), value).ec == std::errc();
    }
    return false;
  }

  const Plan& plan_;
  std::vector<Connection> connections_;
  int epoll_ = -1;
  std::deque<std::size_t> idle_;
  std::deque<TimePoint> waiting_;  // due, but no connection was free
  TimePoint next_due_{};
  std::vector<std::int64_t> latencies_;  // nanoseconds
  std::size_t failed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: paced PORT PATH SECONDS CONNECTIONS RATE\n");
    return 64;
  }
  const double seconds = std::atof(argv[3]);
  const double rate = std::atof(argv[5]);
  // The kernel may otherwise be late by 50 microseconds for each wait.
  ::prctl(PR_SET_TIMERSLACK, 1);
  Plan plan;
  plan.request = std::string("GET ") + argv[2] +
                 " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 "
                 "Firefox/128.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
                 "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: identity\r\n\r\n";
  if (rate > 0) plan.interval = nanoseconds(static_cast<std::int64_t>(1e9 / rate));
  Generator generator(plan, static_cast<std::uint16_t>(std::atoi(argv[1])),
                      static_cast<std::size_t>(std::atoi(argv[4])));
  const auto whole = std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
  plan.begin = SteadyClock::now();
  plan.counted_from = plan.begin + whole / 10;
  plan.end = plan.begin + whole;
  generator.run();
  return generator.report(seconds * 0.9) ? 0 : 1;
}
