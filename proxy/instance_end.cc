// SPDX-License-Identifier: Apache-2.0
// How an instance ends: another process takes its place, or it is stopped.
#include <filesystem>
#include <map>
#include <thread>

#include "base/log.h"
#include "proxy/admin/admin_server.h"
#include "proxy/admin/metrics_server.h"
#include "proxy/instance.h"
#include "proxy/service_manager.h"
#include "proxy/state_file.h"

namespace headgate::proxy {
namespace {

constexpr Duration kLongestStart = std::chrono::seconds(30);  // of a successor
constexpr Duration kLongestQuieting = std::chrono::seconds(8);  // commands wait for 10
constexpr Duration kLookAgain = std::chrono::milliseconds(20);

}  // namespace

// --- a binary upgrade -----------------------------------------------------------------------------------------------

void Instance::succeed(Predecessor predecessor) {
  predecessor_ = std::move(predecessor);
  predecessor_begins_requests_ = predecessor_.exists();
  replaceable_ = true;
}

Task<> Instance::follow_predecessor() {
  predecessor_.retire();
  log::info("serving in the place of the process before this one");
  auto quieting = predecessor_.quiet(loop_);
  co_await quieting;
  predecessor_begins_requests_ = false;
}

Task<> Instance::predecessor_quiet() {
  const TimePoint deadline = loop_.now() + kLongestQuieting;
  Event pause(loop_);
  while (predecessor_begins_requests_ && loop_.now() < deadline) co_await pause.wait(loop_.now() + kLookAgain);
}

BoundListeners Instance::all_listeners() const {
  BoundListeners all = listeners_;
  if (admin_) all.push_back(admin_->listener());
  if (metrics_server_->listener()) all.push_back(metrics_server_->listener());
  return all;
}

void Instance::begin_upgrade() {
  const char* why_not = nullptr;
  if (!replaceable_) why_not = "a demo cannot be replaced";
  if (draining_) why_not = "the instance is stopping";
  if (upgrading_) why_not = "one is under way";
  if (why_not == nullptr) return tasks_.spawn(upgrade());
  log::error("upgrade refused: {}", why_not);
}

/// What the next process begins with is saved before its start, and changed no more until it serves: operators who
/// connect meanwhile wait for it.
Task<> Instance::upgrade() {
  upgrading_ = true;
  if (admin_) admin_->hold();
  if (rollouts_.running()) overrides_.save();  // with the time that the step has had
  save_tickets();
  std::optional<std::string> failure;
  try {
    successor_ = std::make_unique<Successor>(loop_, all_listeners());
    log::info("upgrade: {} is started as process {}", successor_->program(), successor_->pid());
  } catch (const std::exception& error) {
    failure = std::string("it cannot be started: ") + error.what();
  }
  if (successor_) {
    auto serving = successor_->serves(loop_.now() + kLongestStart);
    failure = co_await serving;
  }
  upgrading_ = false;
  if (failure) {
    give_up_upgrade(*failure);
  } else if (!stopping_) {
    retire();
  }
}

void Instance::give_up_upgrade(const std::string& why) {
  successor_.reset();
  if (stopping_) return;
  ++upgrades_failed_;
  log::error("upgrade failed, and this process goes on: {}", why);
  events_.add("upgrade_failed", {{"reason", why}});
  if (admin_) admin_->resume();
}

/// No deadline: what is under way here goes on for as long as it lasts, tunnels included.
void Instance::retire() {
  draining_ = true;
  const auto pid = std::to_string(successor_->pid());
  events_.add("replaced", {{"pid", pid}});
  tell_service_manager("MAINPID=" + pid);
  for (const auto& listener : all_listeners()) {
    for (const auto& socket : listener->sockets->open()) socket->hand_over();
  }
  overrides_.let_go();
  rollout_alarm_.cancel();
  fleet_.retire();
  const auto reached = std::make_shared<std::map<Worker::Retired, std::size_t>>();  // by so many; this thread's
  for (auto& worker : workers_) {
    worker->retire([this, reached](Worker::Retired stage) {
      loop_.post([this, reached, stage] {
        if (++(*reached)[stage] == workers_.size()) retired(stage);
      });
    });
  }
  tasks_.spawn(finish(true));
}

void Instance::retired(Worker::Retired stage) {
  if (stage == Worker::Retired::kAcceptsNoMore) {
    log::info("replaced by process {}: {} requests under way end here", successor_->pid(), figures().in_flight);
  } else {
    successor_.reset();  // which is told by that
  }
}

// --- the end --------------------------------------------------------------------------------------------------------

/// The first call lets what is under way finish; a second one does not.
void Instance::stop() {
  if (stopping_) {
    log::info("stopping at once");
    for (auto& worker : workers_) worker->stop(Clock::now());
    return;
  }
  stopping_ = true;
  log::info("stopping: {} requests under way", figures().in_flight);
  const TimePoint deadline = Clock::now() + generation_->config.shutdown_grace;
  const bool replaced = std::exchange(draining_, true);
  if (!replaced) {
    if (upgrading_ && successor_) successor_->end();
    rollout_alarm_.cancel();
    fleet_.retire();
    if (rollouts_.running()) overrides_.save();  // with the time that the step has had
    events_.add("stopping", {});
    tell_service_manager("STOPPING=1");
  }
  for (auto& worker : workers_) worker->stop(deadline);
  if (!replaced) tasks_.spawn(finish(false));
}

/// Waits for the workers' threads without holding up the loop, which still takes signals. When another process has
/// taken this one's place, the admin listener and what is saved are that one's.
Task<> Instance::finish(bool replaced) {
  auto closing = close_admin();
  if (replaced) co_await closing;
  Event joined(loop_);
  std::thread joiner([this, &joined] {
    for (auto& worker : workers_) worker->join();
    loop_.post([&joined] { joined.set(); });
  });
  co_await joined.wait(kNoDeadline);
  joiner.join();
  workers_ended_ = true;
  Event pause(loop_);
  while (upgrading_) co_await pause.wait(loop_.now() + kLookAgain);
  if (!replaced) save_tickets();
  if (generation_->certificates) generation_->certificates->stop_watching();
  fleet_.use(nullptr, {});
  if (!replaced) co_await closing;
  monitor_.stop();  // those two ask it
  predecessor_.forget();
  house_alarm_.cancel();
  users_alarm_.cancel();
  signals_.ready.cancel();  // so that its reader ends, too
  log::info("stopped");
  loop_.stop();
}

Task<> Instance::close_admin() {
  if (admin_) co_await admin_->stop();
  co_await metrics_server_->stop();
}

void Instance::save_tickets() {
  if (!generation_->certificates || !generation_->config.tls.session_tickets) return;
  save_privately(std::filesystem::path(generation_->config.state_dir) / kTicketFile, tickets_->save());
}

}  // namespace headgate::proxy
