// SPDX-License-Identifier: Apache-2.0
// handshakes full|resumed PORT PATH SECONDS: TLS 1.3 connections one after another on each of eight threads, a
// handshake and one GET with "Connection: close" on each. "resumed" keeps the latest ticket of its thread and offers
// it; the first connection of a thread, which has none, is not counted. Prints one line of JSON; ends with 1 when
// anything failed.
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "bench/load/client.h"

namespace {

using headgate::bench::Client;
using headgate::bench::SslContext;
using headgate::bench::SslSession;
using SteadyClock = std::chrono::steady_clock;

constexpr int kThreads = 8;

struct Counts {
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> resumed{0};
  std::atomic<std::uint64_t> failed{0};
};

/// The latest ticket that a thread was given; OpenSSL hands it over while an answer is read.
thread_local SslSession latest;

int keep_session(SSL*, SSL_SESSION* session) {
  latest.reset(session);
  return 1;  // ours now
}

/// One connection: connect, handshake, a request, the server's end.
bool visit(SSL_CTX* context, bool resume, std::uint16_t port, const std::string& request, std::uint32_t number,
           bool& resumed) {
  Client client;
  if (!client.connect(port, number)) return false;
  const SslSession ticket = resume ? std::move(latest) : nullptr;
  if (!client.handshake(context, ticket.get())) return false;
  resumed = client.resumed();
  return client.ask(request) == 200 && client.until_end();
}

void work(bool resume, std::uint16_t port, const std::string& request, SteadyClock::time_point end,
          std::uint32_t thread, Counts& counts) {
  const SslContext context = headgate::bench::make_context();
  if (resume) {
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), keep_session);
  }
  for (std::uint32_t number = thread; SteadyClock::now() < end; number += kThreads) {
    const bool first = resume && !latest;
    bool resumed = false;
    if (!visit(context.get(), resume, port, request, number, resumed)) {
      ++counts.failed;
      // A server that refuses would otherwise be asked as fast as the machine can.
      if (counts.failed > 100) return;
    } else {
      if (!first) ++counts.done;
      if (resumed) ++counts.resumed;
      if (resume && !first && !resumed) ++counts.failed;
    }
  }
  latest.reset();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: handshakes full|resumed PORT PATH SECONDS\n");
    return 64;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const bool resume = std::strcmp(argv[1], "resumed") == 0;
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  const std::string request =
      std::string("GET ") + argv[3] + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  const double seconds = std::atof(argv[4]);
  Counts counts;
  const auto begin = SteadyClock::now();
  const auto end = begin + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
  std::vector<std::thread> threads;
  for (std::uint32_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { work(resume, port, request, end, i, counts); });
  }
  for (auto& one : threads) one.join();
  const double took = std::chrono::duration<double>(SteadyClock::now() - begin).count();
  std::printf("{\"done\": %llu, \"resumed\": %llu, \"failed\": %llu, \"seconds\": %.3f}\n",
              static_cast<unsigned long long>(counts.done), static_cast<unsigned long long>(counts.resumed),
              static_cast<unsigned long long>(counts.failed), took);
  return counts.failed == 0 ? 0 : 1;
}
