// SPDX-License-Identifier: Apache-2.0
#include "proxy/instance.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <system_error>

#include <malloc.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "base/log.h"
#include "proxy/admin/admin_server.h"
#include "proxy/admin/metrics_server.h"
#include "proxy/handlers/folder_choice.h"
#include "proxy/privileges.h"
#include "proxy/process_figures.h"
#include "proxy/rollout_sight.h"
#include "proxy/state_file.h"
#include "proxy/version.h"
#include "routing/regex.h"
#include "routing/template.h"

namespace headgate::proxy {
namespace {

constexpr const char* kTicketFile = "ticket_keys";
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

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

/// Reading a configuration takes several times the memory of what is kept of it, a burst of connections takes more than
/// the usual number, and the allocator holds on to that.
void give_memory_back() {
  ::malloc_trim(0);
}

/// By name, of which two certificates may have the same one, with keys of two types: the one that ends first counts.
std::vector<std::pair<std::string, std::int64_t>> seconds_left(const tls::CertificateSet& set) {
  const auto now = std::chrono::system_clock::now();
  std::map<std::string, std::int64_t> ends;
  for (const auto& certificate : set.certificates()) {
    const std::int64_t left = std::chrono::duration_cast<std::chrono::seconds>(certificate->not_after - now).count();
    const auto [known, fresh] = ends.emplace(certificate->display_name, left);
    if (!fresh) known->second = std::min(known->second, left);
  }
  return {ends.begin(), ends.end()};
}

/// A name with several addresses is one server, and well when one of them is.
void take_server_states(upstream::Monitor& monitor, const Traffic& traffic, observe::ProgramFigures& figures) {
  std::map<ServerKey, std::uint64_t> ejections;
  for (auto& one : monitor.ejections()) ejections[{one.upstream, one.pool, one.server}] = one.count;
  for (const auto& pool : monitor.status()) {
    const auto split = traffic.status(pool.upstream);
    figures.pools.push_back({pool.upstream, pool.pool, pool.rotation == upstream::Rotation::kPanic,
                             split ? weight_of(split->weights, pool.pool) : 0});
    const std::size_t first = figures.servers.size();
    for (const auto& server : pool.servers) {
      // Its addresses stand one after another.
      if (figures.servers.size() == first || figures.servers.back().server != server.server) {
        const auto count = ejections.find({pool.upstream, pool.pool, server.server});
        figures.servers.push_back(
            {pool.upstream, pool.pool, server.server, false, count == ejections.end() ? 0 : count->second});
      }
      if (server.verdict.standing == upstream::Standing::kServing) figures.servers.back().healthy = true;
    }
  }
}

void take_static_pools(const Generation& generation, const Traffic& traffic, observe::ProgramFigures& figures) {
  for (const auto& pools : generation.static_pools) {
    const auto split = traffic.status(pools.config->name);
    for (const auto pool : pools.split.pools) {
      figures.static_pools.push_back(
          {pools.config->name, std::string(pool), split ? weight_of(split->weights, pool) : 0});
    }
  }
}

void take_rollouts(const Rollouts& rollouts, observe::ProgramFigures& figures) {
  for (const auto& status : rollouts.all()) {
    const auto lifetime = rollouts.lifetime(status.upstream);
    figures.rollouts.push_back({status.upstream, 1 + static_cast<std::uint64_t>(status.state), status.percent,
                                lifetime.failed, lifetime.shielded});
  }
}

/// Of each name once; closed ones first, so that a bound leaves out others.
void take_closures(const config::Config& config, const Closures& closed, observe::ProgramFigures& figures) {
  std::set<std::string> names;
  for (const auto& site : config.sites) names.insert(site.name());
  for (const bool wanted : {true, false}) {
    for (const auto& name : names) {
      if (closed.contains(name) == wanted) figures.sites.emplace_back(name, wanted);
    }
  }
}

void take_fleet(const Fleet& fleet, const Traffic& traffic, observe::ProgramFigures& figures) {
  if (!fleet.on()) return;
  figures.fleet_connected = fleet.up() ? 1 : 0;
  for (const auto& upstream : traffic.switchable()) {
    figures.fleet_leads.emplace_back(upstream, fleet.role(upstream) == Fleet::Role::kLeader);
  }
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
Task<> run_store(std::shared_ptr<FleetStore> store) {
  co_await store->run();
}

}  // namespace

config::Checks configuration_checks() {
  config::Checks checks;
  checks.check_template = [](std::string_view text) { return routing::check_template(text); };
  checks.check_regex = [](std::string_view text) { return routing::check_regex(text); };
  return checks;
}

void block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t set = handled_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

/// Signals as readable events of the loop.
class Instance::Signals final : private Readiness {
 public:
  explicit Signals(Loop& loop) : ready(loop) {
    block_signals();
    const sigset_t set = handled_signals();
    fd_ = UniqueFd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!fd_ || !loop.add(fd_.get(), EPOLLIN | EPOLLET, *this)) {
      throw std::system_error(errno, std::generic_category(), "signalfd");
    }
  }

  /// The next one that came, or 0.
  int take() {
    signalfd_siginfo info{};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

  Event ready;

 private:
  void on_events(std::uint32_t) override { ready.set(); }
  UniqueFd fd_;
};

Instance::Instance(std::string config_file, config::Config config)
    : config_file_(std::move(config_file)),
      signals_(std::make_unique<Signals>(loop_)),
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
      shared_{access_log_, metrics_, monitor_, connections_, tickets_, limits_, passwords_, bodies_},
      metrics_server_(std::make_unique<MetricsServer>(loop_, *this)) {}

Instance::~Instance() = default;

int Instance::run() {
  raise_descriptor_limit();
  const auto& config = generation_->config;
  listeners_ = bind_listeners(config.listeners, {}, worker_count(config));
  start_admin();
  metrics_server_->adopt(metrics_server_->bind(config.metrics.listen));
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
  for (const auto& listener : listeners_) listener->fds.clear();
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
    admin_ = std::make_unique<AdminServer>(loop_, *this, admin);
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
    for (const auto& listener : sockets) listener->fds.clear();
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
  auto store = redis_fleet_store(loop_, *redis, generation_->config.dns);
  fleet_.use(store, limits_.instance());
  tasks_.spawn(run_store(store));
  tasks_.spawn(fleet_.run());
}

/// Without a rollout it sleeps.
Task<> Instance::drive_rollouts() {
  for (;;) {
    const TimePoint until = rollouts_.running() ? loop_.now() + Rollouts::kTick : kNoDeadline;
    const Wake wake = co_await rollout_alarm_.wait(until);
    if (wake == Wake::kCancelled) co_return;
    rollout_alarm_.clear();
    const auto see = [this](const Rollouts::Place& place) { return fleet_.look(place, look_at(place, *generation_)); };
    if (!rollouts_.tick(loop_.now(), see)) continue;
    overrides_.save();
    fleet_.wake();
  }
}

Task<Instance::TrafficChange> Instance::change_traffic(std::string upstream, bool at_once,
                                                       std::function<bool(Traffic&, Rollouts&)> what) {
  std::function<bool()> apply = [this, &what] { return what(traffic_, rollouts_); };
  auto changing = fleet_.change(std::move(upstream), at_once, std::move(apply));
  TrafficChange change;
  change.fleet = co_await changing;
  if (!change.fleet.done) co_return change;
  rollout_alarm_.set();
  change.saved = overrides_.save();
  co_return change;
}

Worker::Figures Instance::figures() const {
  Worker::Figures sum;
  for (const auto& worker : workers_) {
    const auto one = worker->figures();
    sum.requests += one.requests;
    sum.in_flight += one.in_flight;
  }
  return sum;
}

observe::Exposition Instance::exposition() {
  observe::ProgramFigures figures;
  figures.version = kVersion;
  figures.generation = generation_->number;
  figures.reloads_applied = reloads_applied_;
  figures.reloads_refused = reloads_refused_;
  figures.requests_in_flight = this->figures().in_flight;
  figures.rate_limit_store_errors = limits_.failures();
  figures.stored_body_bytes = bodies_.used();
  figures.access_log_dropped = access_log_.dropped();
  figures.workers = workers_.size();
  if (generation_->certificates) figures.certificates = seconds_left(*generation_->certificates->current());
  take_server_states(monitor_, traffic_, figures);
  take_static_pools(*generation_, traffic_, figures);
  take_rollouts(rollouts_, figures);
  take_closures(generation_->config, maintenance_.closed(), figures);
  take_fleet(fleet_, traffic_, figures);
  figures.started_at = std::chrono::duration<double>(started_at_wall_clock_.time_since_epoch()).count();
  figures.cpu_seconds = process_cpu_seconds();
  figures.resident_bytes = process_resident_bytes();
  figures.open_descriptors = process_open_descriptors();
  figures.most_descriptors = process_descriptor_limit();
  return observe::Exposition(metrics_, std::move(figures));
}

StatusFacts Instance::status() {
  StatusFacts facts;
  facts.version = kVersion;
  facts.generation = generation_->number;
  facts.uptime_s = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_at_).count();
  facts.draining = draining_;
  const auto figures = this->figures();
  facts.requests = figures.requests;
  facts.in_flight = figures.in_flight;
  facts.connections = connections();
  for (const auto& listener : listeners_)
    facts.listeners.emplace_back(listener->local.to_string(), listener->config.tls);
  facts.now = std::chrono::system_clock::now();
  facts.config = &generation_->config;
  facts.pools = monitor_.status();
  for (const auto& series : metrics_.servers.all()) {
    const auto& [upstream, pool, server] = series->labels;
    facts.traffic[{upstream, pool, server}] = traffic_of(*series);
  }
  for (const auto& series : metrics_.pools.all()) {
    auto& sum = facts.latencies[{series->labels[0], series->labels[1]}];
    series->each([&](const observe::PoolCells& cells) { cells.durations.add_to(sum); });
  }
  for (auto& one : monitor_.ejections()) facts.ejections[{one.upstream, one.pool, one.server}] = one.count;
  facts.drains = monitor_.drains();
  facts.closed = maintenance_.closed();
  for (const auto& upstream : generation_->config.upstreams) {
    if (const auto status = traffic_.status(upstream.name)) facts.splits[upstream.name] = *status;
  }
  for (const auto& pools : generation_->static_pools) {
    const config::Static& files = *pools.config;
    StatusFacts::Statics told{files.name, pools.site->name, pools.route->name, {}};
    for (const auto& [pool, folder] : files.pools) {
      told.pools.push_back({pool, folder, !why_no_index(files, pool), static_traffic_of(metrics_, files.name, pool)});
    }
    facts.statics.push_back(std::move(told));
    if (const auto status = traffic_.status(files.name)) facts.splits[files.name] = *status;
  }
  if (fleet_.on()) {
    for (const auto& upstream : traffic_.switchable()) facts.shared[upstream] = to_string(fleet_.role(upstream));
  }
  for (auto& rollout : rollouts_.all()) facts.rollouts.emplace(rollout.upstream, std::move(rollout));
  return facts;
}

Task<> Instance::workers_told() {
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
    const Wake wake = co_await signals_->ready.wait(kNoDeadline);
    if (wake != Wake::kReady) co_return;
    signals_->ready.clear();
    while (const int signal = signals_->take()) {
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
          log::error("SIGUSR2: not available yet: upgrading the binary in place");
          break;
        default:
          stop();
          break;
      }
    }
  }
}

/// The first call lets what is under way finish; a second one does not.
void Instance::stop() {
  if (draining_) {
    log::info("stopping at once");
    for (auto& worker : workers_) worker->stop(Clock::now());
    return;
  }
  draining_ = true;
  rollout_alarm_.cancel();
  fleet_.retire();
  if (rollouts_.running()) overrides_.save();  // with the time that the step has had
  log::info("stopping: {} requests under way", figures().in_flight);
  events_.add("stopping", {});
  const TimePoint deadline = Clock::now() + generation_->config.shutdown_grace;
  for (auto& worker : workers_) worker->stop(deadline);
  tasks_.spawn(finish());
}

/// Waits for the workers' threads without holding up the loop, which still takes the second signal.
Task<> Instance::finish() {
  Event joined(loop_);
  std::thread joiner([this, &joined] {
    for (auto& worker : workers_) worker->join();
    loop_.post([&joined] { joined.set(); });
  });
  co_await joined.wait(kNoDeadline);
  joiner.join();
  workers_ended_ = true;
  const std::filesystem::path file = std::filesystem::path(generation_->config.state_dir) / kTicketFile;
  if (generation_->certificates && generation_->config.tls.session_tickets) save_privately(file, tickets_->save());
  if (generation_->certificates) generation_->certificates->stop_watching();
  fleet_.use(nullptr, {});
  if (admin_) co_await admin_->stop();
  co_await metrics_server_->stop();
  monitor_.stop();  // those two ask it
  house_alarm_.cancel();
  users_alarm_.cancel();
  signals_->ready.cancel();  // so that its reader ends, too
  log::info("stopped");
  loop_.stop();
}

}  // namespace headgate::proxy
