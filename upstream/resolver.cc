// SPDX-License-Identifier: Apache-2.0
#include "upstream/resolver.h"

#include <netdb.h>

#include <utility>

namespace headgate::upstream {
namespace {

constexpr std::size_t kMaxQueued = 1024;

std::vector<SocketAddress> look_up(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  std::vector<SocketAddress> result;
  if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) return result;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const IpAddress address = IpAddress::from_sockaddr(entry->ai_addr);
    if (address.is_known()) result.push_back(SocketAddress::ip(address, port));
  }
  ::freeaddrinfo(list);
  return result;
}

}  // namespace

/// Shared by the thread and the waiting coroutine.
struct Resolver::Job {
  Job(Loop& l, std::string h, std::uint16_t p) : loop(l), host(std::move(h)), port(p) {}
  Loop& loop;
  const std::string host;
  const std::uint16_t port;
  bool abandoned = false;  // under the Resolver's mutex: nobody waits any more, and the loop may be gone
  // On the loop only:
  Event* done = nullptr;  // of the waiting coroutine's frame
  std::vector<SocketAddress> addresses;
};

Resolver::Resolver() : thread_([this] { run(); }) {}

Resolver::~Resolver() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Resolver::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    auto job = std::move(queue_.front());
    queue_.pop_front();
    if (job->abandoned) continue;  // a slow name server leaves many of these behind: they hold nobody up
    lock.unlock();
    auto addresses = look_up(job->host, job->port);
    lock.lock();
    // Under the mutex: whoever waits is on a loop that runs, and cannot give up between the question and the post.
    if (job->abandoned) continue;
    job->loop.post([job, addresses = std::move(addresses)]() mutable {
      if (job->done == nullptr) return;
      job->addresses = std::move(addresses);
      job->done->set();
    });
  }
}

Task<Result<std::vector<SocketAddress>>> Resolver::resolve(Loop& loop, std::string host, std::uint16_t port,
                                                           TimePoint deadline) {
  Event done(loop);
  auto job = std::make_shared<Job>(loop, std::move(host), port);
  job->done = &done;
  bool queued = false;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.size() < kMaxQueued) {
      queue_.push_back(job);
      queued = true;
    }
  }
  if (!queued) co_return Error{Errc::kResolve, Side::kInternal, "resolver_busy"};
  wake_.notify_one();
  const Wake wake = co_await done.wait(deadline);
  job->done = nullptr;
  {
    const std::lock_guard lock(mutex_);
    job->abandoned = true;
  }
  if (wake != Wake::kReady) co_return Error{Errc::kTimeout, Side::kUpstream, "resolve_timeout"};
  if (job->addresses.empty()) co_return Error{Errc::kResolve, Side::kUpstream, "resolve_failed"};
  co_return std::move(job->addresses);
}

}  // namespace headgate::upstream
