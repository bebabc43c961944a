// SPDX-License-Identifier: Apache-2.0
// What the whole process knows of one address that requests are sent to, however many upstreams, pools, routes or
// workers use it. Workers tell it how their attempts ended; the Monitor decides what follows from that.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "base/hash.h"
#include "base/ip.h"
#include "config/model.h"
#include "upstream/outcome_window.h"

namespace headgate::upstream {

enum class Passive : std::uint8_t {
  kIn,
  kEjected,
  kTrial,  ///< its time is over: one request decides whether it comes back
};

class Endpoint {
 public:
  Endpoint(const SocketAddress& address_, std::size_t workers, Duration window)
      : address(address_), name(address_.to_string()), id(hash_of(name)), outcomes_(workers, window) {}
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  const SocketAddress address;
  const std::string name;  ///< the address as text
  const std::uint64_t id;  ///< a hash of the name: the same in every process

  /// What the Monitor has decided. Its thread's alone.
  struct Record {
    Passive passive = Passive::kIn;
    TimePoint ejected_at{};
    TimePoint until{};            ///< of an ejection: then comes the trial
    TimePoint returned_at{};      ///< of the latest return
    TimePoint doubtful_until{};   ///< it ought to have been ejected, but may not: other pools are better
    std::uint32_t ejections = 0;  ///< in a row
    std::string why;              ///< of the latest ejection, or why it was refused
    TimePoint looked_up_at{};     ///< because of a connect failure
  } record;

  // --- attempts; any worker, for itself ---------------------------------------------------------------------------

  /// Returns how many errors in a row this has ended.
  std::uint32_t succeeded(std::size_t worker, TimePoint now) {
    outcomes_.add(worker, now, false);
    const std::uint32_t row = errors_in_row_.load(std::memory_order_relaxed);
    // Written only where it changes something, so that the line stays in every worker's cache.
    if (row != 0) errors_in_row_.store(0, std::memory_order_relaxed);
    return row;
  }

  /// Why the server should be ejected now, by these rules; false: it should not.
  struct Grounds {
    std::uint32_t errors_in_row = 0;  ///< 0: it is the rate
    OutcomeWindow::Sum window;
    explicit operator bool() const { return errors_in_row != 0 || window.all != 0; }
  };
  Grounds failed(std::size_t worker, TimePoint now, const config::Ejection& rules);
  /// After succeeded(), which returned `row`: the answer was broken off. It has ended no row, then, but goes on with
  /// it.
  Grounds broken_off(std::size_t worker, TimePoint now, const config::Ejection& rules, std::uint32_t row);

  /// Nothing that was counted counts any more. The Monitor, when the server is ejected and when it comes back.
  void begin_anew(TimePoint now) {
    errors_in_row_.store(0, std::memory_order_relaxed);
    outcomes_.forget(now);
  }

  OutcomeWindow::Sum recent(TimePoint now) const { return outcomes_.sum(now); }

  // --- the one trial request after an ejection ----------------------------------------------------------------------

  /// True for one caller, until release_trial(): by who knows no outcome of it, and by the Monitor for the next one.
  bool claim_trial() { return !trial_claimed_.exchange(true, std::memory_order_acq_rel); }
  void release_trial() { trial_claimed_.store(false, std::memory_order_release); }

  /// True for one caller, until the Monitor has looked at the report: a burst of failures is one report.
  bool claim_report() {
    return !reported_.load(std::memory_order_relaxed) && !reported_.exchange(true, std::memory_order_acq_rel);
  }
  void report_taken() { reported_.store(false, std::memory_order_release); }

  // --- max_connections ----------------------------------------------------------------------------------------------

  /// A place among `most` that the process may have in use; false: all are taken.
  bool take_place(std::uint32_t most) {
    if (places_.fetch_add(1, std::memory_order_acq_rel) < most) return true;
    places_.fetch_sub(1, std::memory_order_acq_rel);
    return false;
  }
  void free_place() { places_.fetch_sub(1, std::memory_order_acq_rel); }

 private:
  Grounds grounds(std::uint32_t errors, TimePoint now, const config::Ejection& rules);

  OutcomeWindow outcomes_;
  std::atomic<std::uint32_t> errors_in_row_{0};
  std::atomic<std::uint32_t> places_{0};
  std::atomic<bool> trial_claimed_{false};
  std::atomic<bool> reported_{false};
};

}  // namespace headgate::upstream
