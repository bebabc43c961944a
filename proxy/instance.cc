// SPDX-License-Identifier: Apache-2.0
#include "proxy/instance.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <system_error>

#include <malloc.h>
#include <sched.h>

#include "base/log.h"
#include "proxy/admin/admin_server.h"
#include "proxy/admin/metrics_server.h"
#include "proxy/privileges.h"
#include "proxy/rollout_sight.h"
#include "proxy/service_manager.h"
#include "proxy/state_file.h"
#include "proxy/version.h"
#include "routing/regex.h"
#include "routing/template.h"

namespace headgate::proxy {
namespace {

constexpr Duration kHouseInterval = std::chrono::seconds(5);
constexpr Duration kTellingWorkers = std::chrono::seconds(5);
constexpr Duration kLookAtUsersEvery = std::chrono::milliseconds(400);
constexpr unsigned kRoundsPerTrim = 12;
constexpr Duration kMeetingFleet = std::chrono::milliseconds(500);
constexpr Duration kLongestMeeting = std::chrono::seconds(3);
constexpr std::uint64_t kBurst = 512;  // fewer connections than these leave too little memory to give back

std::size_t worker_count(const config::Config& config) {
  if (config.workers != 0) return config.workers;
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (::sched_getaffinity(0, sizeof cpus, &cpus) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&cpus)));
}

/// Reading a configuration takes several times the memory of what is kept of it, a burst of connections takes more than
/// the usual number, and the allocator holds on to that.
void give_memory_back() {
  ::malloc_trim(0);
}

/// What a reload cannot change.
std::vector<std::string> unchanged_until_restart(const config::Config& now, const config::Config& next) {
  std::vector<std::string> keys;
  if (now.workers != next.workers) keys.emplace_back("workers");
  if (now.user != next.user) keys.emplace_back("user");
  if (now.state_dir != next.state_dir) keys.emplace_back("state_dir");
  if (now.log.output != next.log.output || now.log.format != next.log.format || now.log.level != next.log.level) {
    keys.emplace_back("log");
  }
  if (now.access_log.format != next.access_log.format || now.access_log.output != next.access_log.output) {
    keys.emplace_back("access_log");
  }
  if (now.admin.listen.text != next.admin.listen.text || now.admin.token_file != next.admin.token_file) {
    keys.emplace_back("admin");
  }
  return keys;
}

/// Keeps it until it has ended.
Task<> run_store(std::shared_ptr<traffic::FleetStore> store) {
  co_await store->run();
}

}  // namespace

config::Checks configuration_checks() {
  config::Checks checks;
  checks.check_template = [](std::string_view text) { return routing::check_template(text); };
  checks.check_regex = [](std::string_view text) { return routing::check_regex(text); };
  return checks;
}

Instance::Instance(std::string config_file, config::Config config)
    : config_file_(std::move(config_file)),
      signals_(loop_),
      monitor_(worker_count(config), config.dns, events_),
      traffic_(events_, [this] { monitor_.announce(); }),
      rollouts_(traffic_, events_, worker_count(config)),
      maintenance_(events_, [this](const auto& closed) { tell_closures(closed); }),
      overrides_(monitor_, traffic_, rollouts_, maintenance_),
      fleet_(loop_, traffic_, rollouts_, events_,
             [this] {
               overrides_.save();
               rollout_alarm_.set();
             }),
      generation_(std::make_shared<const Generation>(1, std::move(config), monitor_, traffic_)),
      house_alarm_(loop_),
      rollout_alarm_(loop_),
      users_alarm_(loop_),
      tasks_(loop_),
      access_log_(generation_->config.access_log),
      metrics_(worker_count(generation_->config)),
      tickets_(std::make_shared<tls::TicketKeys>()),
      shared_{worker_count(generation_->config),
              access_log_,
              metrics_,
              monitor_,
              connections_,
              tickets_,
              limits_,
              passwords_,
              bodies_},
      metrics_server_(std::make_unique<MetricsServer>(loop_, *this)) {}

Instance::~Instance() = default;

int Instance::run() {
  raise_descriptor_limit();
  const auto& config = generation_->config;
  listeners_ = bind_listeners(config.listeners, predecessor_.take(config.listeners), worker_count(config));
  start_admin();
  metrics_server_->adopt(metrics_server_->bind(config.metrics.listen, &predecessor_));
  rollouts_.adopt(config, Clock::now());
  traffic_.adopt(config);
  prepare_state_dir();
  drop_privileges(config.user);
  give_memory_back();
  join_fleet();
  start_workers();
  announce(listeners_);
  tasks_.spawn(follow_signals());
  tasks_.spawn(keep_house());
  tasks_.spawn(drive_rollouts());
  tasks_.spawn(follow_users());
  follow_certificates();
  events_.add("started", {{"version", kVersion}});
  if (on_ready_) on_ready_();
  if (predecessor_.exists()) tasks_.spawn(follow_predecessor());
  tell_service_manager("READY=1");
  loop_.run();
  return 0;
}

void Instance::prepare_state_dir() {
  namespace fs = std::filesystem;
  const fs::path dir = generation_->config.state_dir;
  std::error_code error;
  if (fs::create_directories(dir, error)) {
    fs::permissions(dir, fs::perms::owner_all, error);
    if (!error && !give_to(generation_->config.user, dir)) error.assign(errno, std::generic_category());
  }
  if (error) {
    log::warn("state_dir {}: {}; what should survive a restart will not", dir.string(), error.message());
    return;
  }
  if (const auto saved = load_file(dir / kTicketFile)) tickets_->restore(*saved);
  overrides_.restore(dir);
}

void Instance::adopt_limits(const Generation& generation) {
  limits_.adopt(generation.config, ratelimit::nanos_of(Clock::now()));
}

void Instance::tell_closures(const std::shared_ptr<const Closures>& closed) {
  if (workers_ended_) return;
  for (auto& worker : workers_) worker->close_sites(closed);
}

void Instance::start_workers() {
  adopt_limits(*generation_);
  const auto count = worker_count(generation_->config);
  for (std::size_t i = 0; i < count; ++i) {
    workers_.push_back(std::make_unique<Worker>(i, shared_));
    workers_.back()->close_sites(maintenance_.plan());
    workers_.back()->start(generation_, listeners_);
  }
  for (const auto& listener : listeners_) listener->sockets->release();
}

void Instance::announce(const BoundListeners& listeners) const {
  for (const auto& listener : listeners) {
    log::info("listening on {} ({}), {} {}", listener->local.to_string(), listener->config.tls ? "tls" : "plain",
              workers_.size(), workers_.size() == 1 ? "worker" : "workers");
  }
}

void Instance::start_admin() {
  const auto& admin = generation_->config.admin;
  try {
    admin_ = std::make_unique<AdminServer>(loop_, *this, admin, predecessor_);
  } catch (const std::exception& error) {
    if (admin.configured) throw;
    log::warn("no admin listener: {}", error.what());
  }
}

void Instance::follow_certificates() {
  if (generation_->certificates && generation_->config.tls.watch) tasks_.spawn(watch(generation_->certificates));
}

/// Keeps the store for as long as it is watched: its generation may go first.
Task<> Instance::watch(std::shared_ptr<tls::CertificateStore> certificates) {
  co_await certificates->watch(loop_);
}

/// Reads users files again that have changed. Without one it sleeps until a reload.
Task<> Instance::follow_users() {
  for (;;) {
    const bool any = !generation_->gates.users_files.empty();
    const Wake wake = co_await users_alarm_.wait(any ? loop_.now() + kLookAtUsersEvery : kNoDeadline);
    if (wake == Wake::kCancelled) co_return;
    users_alarm_.clear();
    for (const auto& file : generation_->gates.users_files) file->refresh();
  }
}

Instance::ReloadOutcome Instance::reload() {
  auto outcome = try_reload();
  ++(outcome.applied ? reloads_applied_ : reloads_refused_);
  if (outcome.applied) {
    events_.add("reloaded", {{"generation", std::to_string(generation_->number)}});
  } else {
    events_.add("reload_refused", {{"reason", outcome.messages.empty() ? std::string() : outcome.messages.front()}});
  }
  return outcome;
}

Instance::ReloadOutcome Instance::try_reload() {
  ReloadOutcome outcome;
  const auto refuse = [&](std::string message) {
    outcome.messages.push_back(std::move(message));
    for (const auto& line : outcome.messages) log::error("reload refused: {}", line);
    return outcome;
  };
  if (config_file_.empty()) return refuse("this instance has no configuration file");
  if (draining_) return refuse("the instance is stopping");
  if (upgrading_) return refuse("an upgrade is under way: the new process reads the file");
  house_alarm_.set();  // when this has returned, whatever comes of it
  auto loaded = config::load_file(config_file_, config::process_environment(), configuration_checks());
  for (const auto& diagnostic : loaded.errors) outcome.messages.push_back(config::to_string(diagnostic));
  for (const auto& diagnostic : loaded.not_available) outcome.messages.push_back(config::to_string(diagnostic));
  if (!loaded.usable()) {
    for (const auto& line : outcome.messages) log::error("reload refused: {}", line);
    return outcome;
  }
  try {
    auto next =
        std::make_shared<const Generation>(generation_->number + 1, std::move(loaded.config), monitor_, traffic_);
    auto sockets = bind_listeners(next->config.listeners, listeners_, workers_.size());
    auto metrics_listener = metrics_server_->bind(next->config.metrics.listen);
    adopt_limits(*next);
    if (rollouts_.adopt(next->config, loop_.now())) overrides_.save();
    traffic_.adopt(next->config);
    for (auto& worker : workers_) worker->apply(next, sockets);
    for (const auto& listener : sockets) listener->sockets->release();
    BoundListeners fresh;
    std::copy_if(sockets.begin(), sockets.end(), std::back_inserter(fresh), [&](const auto& listener) {
      return std::find(listeners_.begin(), listeners_.end(), listener) == listeners_.end();
    });
    listeners_ = std::move(sockets);
    metrics_server_->adopt(std::move(metrics_listener));
    announce(fresh);
    for (const auto& key : unchanged_until_restart(generation_->config, next->config)) {
      outcome.messages.push_back(key + ": takes effect at the next start");
    }
    if (generation_->certificates) generation_->certificates->stop_watching();
    retired_.push_back(std::exchange(generation_, std::move(next)));
    monitor_.configure(generation_->config.dns);
    name_routes(metrics_, *generation_);
    users_alarm_.set();
    adopt_fleet();
    follow_certificates();
  } catch (const std::exception& error) {
    return refuse(error.what());
  }
  for (const auto& warning : loaded.warnings) outcome.messages.push_back(config::to_string(warning));
  for (const auto& line : outcome.messages) log::warn("reload: {}", line);
  log::info("reloaded: generation {}", generation_->number);
  outcome.applied = true;
  return outcome;
}

/// The last one to let go of a generation takes it apart, which for a large one is tens of milliseconds: that is done
/// here, and never by a worker at the end of a request.
Task<> Instance::keep_house() {
  std::uint64_t busiest = 0;
  for (unsigned rounds = 1;; ++rounds) {
    const Wake wake = co_await house_alarm_.wait(deadline_after(loop_.now(), kHouseInterval));
    if (wake == Wake::kCancelled) co_return;
    house_alarm_.clear();
    const auto freed = std::erase_if(retired_, [](const auto& old) { return old.use_count() == 1; });
    metrics_.drop_unnamed(retired_.empty() ? generation_->number : retired_.front()->number, loop_.now());
    if (rounds % kRoundsPerTrim == 0) limits_.trim(ratelimit::nanos_of(loop_.now()));
    const auto open = connections_.total();
    busiest = std::max(busiest, connections_.take_peak());
    const bool burst_over = busiest >= open + std::max(kBurst, open);
    if (burst_over) busiest = open;
    if (freed > 0 || burst_over || wake == Wake::kReady) give_memory_back();
  }
}

/// Before anything is served: what the fleet has decided while this instance was away holds for its first request. A
/// store that is away holds up a start for a moment only.
void Instance::join_fleet() {
  adopt_fleet();
  if (!fleet_.on()) return;
  tasks_.spawn(meet_fleet(std::min<Duration>(fleet_redis_->connect_timeout + kMeetingFleet, kLongestMeeting)));
  loop_.run();
}

Task<> Instance::meet_fleet(Duration most) {
  auto meeting = fleet_.met(deadline_after(loop_.now(), most));
  co_await meeting;
  loop_.stop();
}

void Instance::adopt_fleet() {
  const auto& redis = generation_->config.redis;
  const bool shares = redis && redis->share_traffic_state;
  const auto same = [&] {
    return fleet_redis_->urls == redis->urls && fleet_redis_->timeout == redis->timeout &&
           fleet_redis_->connect_timeout == redis->connect_timeout;
  };
  if (shares && fleet_redis_ && same()) return;
  fleet_redis_.reset();
  if (!shares) {
    if (fleet_.on()) fleet_.use(nullptr, {});
    return;
  }
  fleet_redis_ = *redis;
  auto store = traffic::redis_fleet_store(loop_, *redis, generation_->config.dns);
  fleet_.use(store, limits_.instance());
  tasks_.spawn(run_store(store));
  tasks_.spawn(fleet_.run());
}

/// Without a rollout it sleeps.
Task<> Instance::drive_rollouts() {
  for (;;) {
    const TimePoint until = rollouts_.running() ? loop_.now() + traffic::Rollouts::kTick : kNoDeadline;
    const Wake wake = co_await rollout_alarm_.wait(until);
    if (wake == Wake::kCancelled) co_return;
    rollout_alarm_.clear();
    if (upgrading_) continue;  // the next process goes on from what has been saved
    const auto see = [this](const traffic::Rollouts::Place& place) {
      return fleet_.look(place, look_at(place, *generation_));
    };
    if (!rollouts_.tick(loop_.now(), see)) continue;
    overrides_.save();
    fleet_.wake();
  }
}

Task<Instance::TrafficChange> Instance::change_traffic(
    std::string upstream, bool at_once, std::function<bool(traffic::Traffic&, traffic::Rollouts&)> what) {
  std::function<bool()> apply = [this, &what] { return what(traffic_, rollouts_); };
  auto changing = fleet_.change(std::move(upstream), at_once, std::move(apply));
  TrafficChange change;
  change.fleet = co_await changing;
  if (!change.fleet.done) co_return change;
  rollout_alarm_.set();
  change.saved = overrides_.save();
  co_return change;
}

Task<> Instance::workers_told() {
  auto quieting = predecessor_quiet();
  co_await quieting;
  if (workers_ended_ || workers_.empty()) co_return;
  struct Round {
    Round(Loop& loop, std::size_t workers) : done(loop), left(workers) {}
    Event done;
    std::size_t left;  // this thread's
  };
  const auto round = std::make_shared<Round>(loop_, workers_.size());
  for (auto& worker : workers_) {
    worker->post([this, round] {
      loop_.post([round] {
        if (--round->left == 0) round->done.set();
      });
    });
  }
  // One that ends at this moment does not answer; it sends nothing anywhere either.
  co_await round->done.wait(deadline_after(loop_.now(), kTellingWorkers));
}

Task<> Instance::follow_signals() {
  for (;;) {
    const Wake wake = co_await signals_.ready.wait(kNoDeadline);
    if (wake != Wake::kReady) co_return;
    signals_.ready.clear();
    while (const int signal = signals_.take()) {
      switch (signal) {
        case SIGHUP:
          reload();
          break;
        case SIGUSR1:
          log::reopen();
          access_log_.reopen();
          log::info("logs reopened");
          break;
        case SIGUSR2:
          begin_upgrade();
          break;
        default:
          stop();
          break;
      }
    }
  }
}

}  // namespace headgate::proxy
