// SPDX-License-Identifier: Apache-2.0
// Names that are followed: looked up at once, and again whenever their TTL has ended, so that a server that has moved
// is found without a restart. What was good stays in use for as long as no other answer comes: a name server that is
// down takes nothing away.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include "base/loop.h"
#include "base/task_group.h"
#include "config/model.h"
#include "upstream/name_resolver.h"

namespace headgate::upstream {

class Name;
class Names;
using NameRef = boost::intrusive_ptr<Name>;

/// A name that somebody follows, shared by all who follow it and forgotten with the last of them. Loop thread only, and
/// so counted without atomics. May outlive its Names; it then stays as it is.
class Name : public boost::intrusive_ref_counter<Name, boost::thread_unsafe_counter> {
 public:
  ~Name();
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;

  const std::string& host() const { return host_; }
  /// Of the last good answer, sorted; empty until the first one.
  const std::vector<IpAddress>& addresses() const { return addresses_; }
  /// Why the last lookup failed, a reason of NameResolver::resolve's; empty when it did not.
  std::string_view error() const { return error_; }
  std::optional<TimePoint> resolved() const { return resolved_; }  ///< when the last good answer came
  TimePoint due() const { return due_; }                           ///< when it is looked up next

  /// Looks again now, since the addresses seem to be wrong (a connect failed). Soon, where the last look was less than
  /// Names::Intervals::between_looks ago; nothing when a lookup is under way.
  void refresh();

 private:
  friend class Names;
  struct Follower;
  Name(Names& names, std::string host, TimePoint now) : names_(&names), host_(std::move(host)), due_(now) {}

  Names* names_;
  Follower* follower_ = nullptr;  // in the frame of the task that looks
  std::string host_;
  std::vector<IpAddress> addresses_;
  std::string_view error_;
  std::optional<TimePoint> resolved_;
  TimePoint asked_{};
  TimePoint due_;
  Duration back_off_{};  // before the next try; zero while tries succeed
  bool looking_ = false;
};

/// One loop's thread; one for the process. The resolver must outlive it.
class Names {
 public:
  static constexpr std::size_t kMaxAtOnce = 64;  ///< lookups; more would only overflow the socket's buffer

  struct Intervals {
    Duration first_retry = std::chrono::seconds(1);     ///< after a failure; doubles with each further one
    Duration longest_retry = std::chrono::seconds(30);  ///< up to here; each is shortened at random, by a fifth at most
    Duration between_looks = std::chrono::seconds(1);   ///< of refresh()
  };

  Names(Loop& loop, NameResolver& resolver, const config::Dns& settings);
  Names(Loop& loop, NameResolver& resolver, const config::Dns& settings, Intervals intervals);
  ~Names();  ///< after close() has ended
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;

  /// The name, and from now on its addresses.
  NameRef follow(std::string_view host);

  /// Called when a name's set of addresses is another than before, and when the first lookup of one fails. From the
  /// loop, never from inside follow(); it may follow, refresh and let go of any name.
  void on_change(std::function<void(Name&)> changed) { changed_ = std::move(changed); }

  /// Other bounds of the TTL, and whatever the resolver has been told: every name is looked up anew where anything
  /// differs. Tell the resolver first.
  void configure(const config::Dns& settings);

  /// Ends the following for good, and returns when nothing runs any more: at once after NameResolver::cancel(), else
  /// when the lookups under way have ended.
  Task<> close();

  std::size_t size() const { return names_.size(); }

 private:
  friend class Name;
  Task<> keep(Name& name);
  Task<bool> take_turn(Name::Follower& follower);
  void give_turn();
  void learn(Name& name, Result<Answer> found);
  void learn_addresses(Name& name, Answer answer);
  void learn_failure(Name& name, const Error& error);
  Duration jittered(Duration wait);

  Loop& loop_;
  NameResolver& resolver_;
  config::Dns settings_;
  Intervals intervals_;
  std::function<void(Name&)> changed_;
  std::unordered_map<std::string, Name*> names_;
  std::deque<Name::Follower*> waiting_;  // for their turn
  std::size_t looking_ = 0;
  bool closing_ = false;
  std::minstd_rand random_;
  TaskGroup tasks_;
};

}  // namespace headgate::upstream
