// SPDX-License-Identifier: Apache-2.0
#include "upstream/monitor.h"

#include <algorithm>
#include <exception>
#include <future>
#include <optional>
#include <type_traits>

#include "upstream/registry.h"

namespace headgate::upstream {

Monitor::Monitor(std::size_t workers, const config::Dns& dns, observe::Events& events)
    : registry_(std::make_unique<Registry>(loop_, workers, dns, events, [this] { announce(); })),
      thread_([this] { loop_.run(); }) {}

Monitor::~Monitor() {
  stop();
}

void Monitor::stop() {
  if (!thread_.joinable()) return;
  loop_.post([this] { ending_.spawn(end()); });
  thread_.join();
}

Task<> Monitor::end() {
  co_await registry_->stop();
  loop_.stop();
}

/// Has the monitor's thread do it, and gives back what comes of it.
template <class Function>
auto Monitor::ask(Function function) {
  std::promise<decltype(function(*registry_))> done;
  loop_.post([&] {
    try {
      if constexpr (std::is_void_v<decltype(function(*registry_))>) {
        function(*registry_);
        done.set_value();
      } else {
        done.set_value(function(*registry_));
      }
    } catch (...) {
      done.set_exception(std::current_exception());
    }
  });
  return done.get_future().get();
}

// --- main thread
// ------------------------------------------------------------------------------------------------------

std::vector<UpstreamWatch> Monitor::watch(const config::Config& config) {
  return ask([&](Registry& registry) { return registry.watch(config); });
}

void Monitor::configure(const config::Dns& dns) {
  ask([&](Registry& registry) { registry.configure(dns); });
}

bool Monitor::drain(const std::string& upstream, const std::string& server, bool drained) {
  return ask([&](Registry& registry) { return registry.drain(upstream, server, drained); });
}

Monitor::Drains Monitor::drains() {
  return ask([](Registry& registry) { return registry.drains(); });
}

void Monitor::restore(const Drains& drains) {
  ask([&](Registry& registry) { registry.restore(drains); });
}

std::vector<PoolStatus> Monitor::status() {
  return ask([](Registry& registry) { return registry.status(); });
}

std::vector<Monitor::Ejections> Monitor::ejections() {
  return ask([](Registry& registry) { return registry.ejections(); });
}

// --- workers
// ----------------------------------------------------------------------------------------------------------

void Monitor::subscribe(Loop& loop, std::function<void()> changed) {
  const std::lock_guard lock(subscribers_mutex_);
  subscribers_.push_back({&loop, std::move(changed)});
}

void Monitor::unsubscribe(Loop& loop) {
  const std::lock_guard lock(subscribers_mutex_);
  std::erase_if(subscribers_, [&](const Subscriber& one) { return one.loop == &loop; });
}

void Monitor::announce() {
  const std::lock_guard lock(subscribers_mutex_);
  for (const auto& one : subscribers_) one.loop->post(one.changed);
}

void Monitor::report(std::shared_ptr<Endpoint> endpoint, const Endpoint::Grounds& grounds,
                     const config::Ejection& rules) {
  loop_.post([this, endpoint = std::move(endpoint), grounds, rules] {
    registry_->grounds_to_eject(*endpoint, grounds, rules);
  });
}

void Monitor::report_alive(std::shared_ptr<Endpoint> endpoint) {
  loop_.post([this, endpoint = std::move(endpoint)] { registry_->alive(*endpoint); });
}

void Monitor::report_trial_failed(std::shared_ptr<Endpoint> endpoint, const config::Ejection& rules) {
  loop_.post([this, endpoint = std::move(endpoint), rules] { registry_->trial_failed(*endpoint, rules); });
}

void Monitor::report_unreachable(std::shared_ptr<Endpoint> endpoint) {
  loop_.post([this, endpoint = std::move(endpoint)] { registry_->unreachable(*endpoint); });
}

}  // namespace headgate::upstream
