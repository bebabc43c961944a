// SPDX-License-Identifier: Apache-2.0
// The running program: the main thread's loop with signals, reloads and the admin listener; the workers it starts.
// What it tells of itself is in instance_facts.cc, how it ends or is replaced in instance_end.cc.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/load.h"
#include "observe/events.h"
#include "observe/exposition.h"
#include "proxy/admin/status_json.h"
#include "proxy/listener_sockets.h"
#include "proxy/maintenance.h"
#include "proxy/overrides.h"
#include "proxy/signals.h"
#include "proxy/upgrade.h"
#include "proxy/worker.h"
#include "traffic/fleet.h"
#include "traffic/rollouts.h"

namespace headgate::proxy {

class AdminServer;
class MetricsServer;

class Instance {
 public:
  /// `config_file` is read again at each reload; empty: there is nothing to reload (demo).
  Instance(std::string config_file, config::Config config);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  /// It takes over what the process before it has left, and may be replaced itself, by SIGUSR2; without it, that is
  /// refused. Before run().
  void succeed(Predecessor predecessor);

  /// Binds, drops privileges, starts the workers, logs one line for each listener and serves until a signal ends it.
  /// The exit code. Throws what stops a start: an address in use, a certificate.
  int run();

  /// The listeners as they are bound, once run() has begun to serve. Main thread.
  const BoundListeners& listeners() const { return listeners_; }
  /// Called on the main thread when all listeners are ready.
  void on_ready(std::function<void()> callback) { on_ready_ = std::move(callback); }

  // --- for the admin and metrics listeners, on the main thread ----------------------------------------------------
  struct ReloadOutcome {
    bool applied = false;
    std::vector<std::string> messages;  ///< errors as FILE:LINE:COL: message; warnings when it was applied
  };
  ReloadOutcome reload();
  const Generation& generation() const { return *generation_; }
  std::shared_ptr<const Generation> shared_generation() const { return generation_; }
  Worker::Figures figures() const;
  observe::Exposition exposition();  ///< of this moment
  StatusFacts status();              ///< likewise; not to be kept over a wait
  upstream::Monitor& monitor() { return monitor_; }
  observe::Metrics& metrics() { return metrics_; }
  observe::Events& events() { return events_; }
  Overrides& overrides() { return overrides_; }
  const traffic::Traffic& traffic() const { return traffic_; }
  const traffic::Rollouts& rollouts() const { return rollouts_; }
  const traffic::Fleet& fleet() const { return fleet_; }
  /// An operator's command: `what` changes the traffic of one upstream, and returns false when it is refused; it may be
  /// called again, when another instance was faster. As Fleet::change().
  struct TrafficChange {
    traffic::Fleet::Changed fleet;
    bool saved = false;  ///< a restart will not forget it
  };
  Task<TrafficChange> change_traffic(std::string upstream, bool at_once,
                                     std::function<bool(traffic::Traffic&, traffic::Rollouts&)> what);
  const Maintenance& maintenance() const { return maintenance_; }
  /// Returns when every worker acts on what the Monitor has announced until now, or has ended; after an upgrade also
  /// when the process before this one begins no requests any more.
  Task<> workers_told();
  std::uint64_t connections() const { return connections_.total(); }
  bool draining() const { return draining_; }
  TimePoint started_at() const { return started_at_; }
  std::chrono::system_clock::time_point started_at_wall_clock() const { return started_at_wall_clock_; }

 private:
  static constexpr const char* kTicketFile = "ticket_keys";

  void prepare_state_dir();
  void start_workers();
  void tell_closures(const std::shared_ptr<const Closures>& closed);
  void adopt_limits(const Generation& generation);
  void announce(const BoundListeners& listeners) const;
  void start_admin();
  ReloadOutcome try_reload();
  void follow_certificates();
  Task<> watch(std::shared_ptr<tls::CertificateStore> certificates);
  Task<> follow_users();
  Task<> follow_signals();
  Task<> keep_house();
  Task<> drive_rollouts();
  void join_fleet();
  void adopt_fleet();
  Task<> meet_fleet(Duration most);
  void save_tickets();
  BoundListeners all_listeners() const;
  void begin_upgrade();
  Task<> upgrade();
  void give_up_upgrade(const std::string& why);
  void retire();
  void retired(Worker::Retired stage);
  Task<> follow_predecessor();
  Task<> predecessor_quiet();
  void stop();
  Task<> finish(bool replaced);
  Task<> close_admin();

  const std::string config_file_;
  Loop loop_;
  Signals signals_;  // before any thread
  observe::Events events_;
  upstream::Monitor monitor_;
  traffic::Traffic traffic_;
  traffic::Rollouts rollouts_;
  Maintenance maintenance_;
  Overrides overrides_;
  traffic::Fleet fleet_;
  std::shared_ptr<const Generation> generation_;
  std::vector<std::shared_ptr<const Generation>> retired_;  // replaced, but requests may still be under way on them
  TimePoint started_at_ = Clock::now();
  std::chrono::system_clock::time_point started_at_wall_clock_ = std::chrono::system_clock::now();
  Event house_alarm_;
  Event rollout_alarm_;
  Event users_alarm_;                         // there is another generation
  std::optional<config::Redis> fleet_redis_;  // that fleet_ uses
  TaskGroup tasks_;
  observe::AccessLog access_log_;
  observe::Metrics metrics_;
  ConnectionCount connections_;
  std::shared_ptr<tls::TicketKeys> tickets_;
  ratelimit::Stores limits_;
  auth::PasswordThreads passwords_;
  BodyBudget bodies_;
  Shared shared_;
  BoundListeners listeners_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<MetricsServer> metrics_server_;
  std::uint64_t reloads_applied_ = 0;
  std::uint64_t reloads_refused_ = 0;
  std::function<void()> on_ready_;
  bool replaceable_ = false;
  Predecessor predecessor_;
  bool predecessor_begins_requests_ = false;
  std::unique_ptr<Successor> successor_;  // from its start until no worker begins a request any more
  bool upgrading_ = false;                // it does not serve yet
  std::uint64_t upgrades_failed_ = 0;
  bool draining_ = false;  // stopping or replaced
  bool stopping_ = false;  // there is a deadline
  bool workers_ended_ = false;
};

/// The reader's checks of templates and regexes, which only the program can provide.
config::Checks configuration_checks();

}  // namespace headgate::proxy
