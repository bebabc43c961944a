// SPDX-License-Identifier: Apache-2.0
// The metrics of the process: for each kind of thing that is counted a table of series, found by their labels, with a
// cell of each worker's own. A series belongs to its labels and not to the generation that names them, so that counts
// survive reloads. Tables are touched when a generation is adopted, at the first request of a route and at a scrape;
// requests write to cells that they hold a pointer to.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "observe/metric_cells.h"

namespace headgate::observe {

/// The value of every label of what came after a table was full.
inline constexpr std::string_view kOtherLabel = "_other";
/// How long a series is still shown after the last generation that named it: several scrapes.
inline constexpr Duration kKeepUnnamed = std::chrono::minutes(15);

/// One thing that is counted, and each worker's cells for it.
template <class Cells, std::size_t kLabels>
class Series {
 public:
  Series(std::array<std::string, kLabels> labels_, std::size_t workers)
      : labels(std::move(labels_)), cells_(new std::atomic<Cells*>[workers]), workers_(workers) {
    for (std::size_t i = 0; i < workers; ++i) cells_[i].store(nullptr, std::memory_order_relaxed);
  }
  Series(const Series&) = delete;
  Series& operator=(const Series&) = delete;
  ~Series() {
    for (std::size_t i = 0; i < workers_; ++i) delete cells_[i].load(std::memory_order_relaxed);
  }

  const std::array<std::string, kLabels> labels;

  /// Calls each(cells) for each worker that has some. Any thread.
  template <class Each>
  void each(const Each& each_cells) const {
    for (std::size_t i = 0; i < workers_; ++i) {
      if (const Cells* cells = cells_[i].load(std::memory_order_acquire)) each_cells(*cells);
    }
  }

  /// This worker's, allocated when there are none yet. That worker's thread.
  Cells& of(std::size_t worker) {
    Cells* cells = cells_[worker].load(std::memory_order_relaxed);
    if (cells == nullptr) {
      cells = new Cells;
      cells_[worker].store(cells, std::memory_order_release);
    }
    return *cells;
  }

 private:
  const std::unique_ptr<std::atomic<Cells*>[]> cells_;
  const std::size_t workers_;
};

/// Any thread, except where noted. Memory is bounded: after `most` sets of labels all others share one series.
template <class Cells, std::size_t kLabels>
class SeriesTable {
 public:
  using Labels = std::array<std::string_view, kLabels>;
  using One = Series<Cells, kLabels>;

  SeriesTable(std::size_t workers, std::size_t most) : workers_(workers), most_(most) {}

  /// The cells of this worker for these labels, named by this generation. They stay for as long as that generation
  /// counts as alive (drop_unnamed). That worker's thread.
  Cells& cells(std::size_t worker, const Labels& labels, std::uint64_t generation) {
    return find_or_make(labels, generation)->of(worker);
  }

  /// The generation names these labels: what has been counted for them stays, whether or not it counts on.
  void name(const Labels& labels, std::uint64_t generation) {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(key_of(labels)); found != entries_.end()) found->second.name(generation);
  }

  /// The series of these labels; null: there is none of its own.
  std::shared_ptr<const One> find(const Labels& labels) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key_of(labels));
    return found != entries_.end() ? found->second.series : nullptr;
  }

  /// What is there now, in the order of the labels.
  std::vector<std::shared_ptr<const One>> all() const {
    std::vector<std::shared_ptr<const One>> series;
    {
      const std::lock_guard lock(mutex_);
      series.reserve(entries_.size() + 1);
      for (const auto& [key, entry] : entries_) series.push_back(entry.series);
      if (other_) series.push_back(other_);
    }
    std::sort(series.begin(), series.end(), [](const auto& a, const auto& b) { return a->labels < b->labels; });
    return series;
  }

  /// Forgets series whose labels no generation from `oldest_alive` on has named for kKeepUnnamed. No older generation
  /// may count any more.
  void drop_unnamed(std::uint64_t oldest_alive, TimePoint now) {
    const std::lock_guard lock(mutex_);
    for (auto item = entries_.begin(); item != entries_.end();) {
      Entry& entry = item->second;
      if (entry.generation >= oldest_alive) {
        ++item;
        continue;
      }
      if (entry.unnamed_since == kNoDeadline) entry.unnamed_since = now;
      item = now - entry.unnamed_since >= kKeepUnnamed ? entries_.erase(item) : std::next(item);
    }
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    std::shared_ptr<One> series;
    std::uint64_t generation = 0;  // the last that named it
    TimePoint unnamed_since = kNoDeadline;

    void name(std::uint64_t by) {
      generation = std::max(generation, by);
      unnamed_since = kNoDeadline;
    }
  };

  const std::string& key_of(const Labels& labels) {
    key_.clear();
    for (const auto label : labels) {
      key_.append(label);
      key_.push_back('\0');
    }
    return key_;
  }

  std::shared_ptr<One> make(const Labels& labels) const {
    std::array<std::string, kLabels> texts;
    std::copy(labels.begin(), labels.end(), texts.begin());
    return std::make_shared<One>(std::move(texts), workers_);
  }

  std::shared_ptr<One> find_or_make(const Labels& labels, std::uint64_t generation) {
    const std::lock_guard lock(mutex_);
    const auto& key = key_of(labels);
    auto found = entries_.find(key);
    if (found == entries_.end()) {
      if (entries_.size() >= most_) {
        if (!other_) {
          Labels others;
          others.fill(kOtherLabel);
          other_ = make(others);
        }
        return other_;
      }
      found = entries_.emplace(key, Entry{make(labels)}).first;
    }
    found->second.name(generation);
    return found->second.series;
  }

  const std::size_t workers_;
  const std::size_t most_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::shared_ptr<One> other_;  // never forgotten: any generation may hold its cells
  std::string key_;             // kept for its memory
};

/// Process-wide; outlives the workers. What a later feature counts gets a table here and a family in exposition.cc.
struct Metrics {
  explicit Metrics(std::size_t workers)
      : routes(workers, kMostRoutes),
        pools(workers, kMostPools),
        static_pools(workers, kMostPools),
        servers(workers, kMostServers),
        listeners(workers, kMostListeners),
        limits(workers, kMostLimits),
        compression(std::make_shared<Series<CompressionCells, 0>>(std::array<std::string, 0>(), workers)),
        denials(workers, kMostSites),
        mirrors(workers, kMostMirrors),
        stored_bodies(std::make_shared<Series<StoredBodyCells, 0>>(std::array<std::string, 0>(), workers)) {}

  /// Of those that have had a request. A route of one method is about 600 bytes for the first worker and 200 for each
  /// further one, and 18 lines of a scrape.
  static constexpr std::size_t kMostRoutes = 10'000;
  static constexpr std::size_t kMostPools = 2'000;
  static constexpr std::size_t kMostServers = 10'000;
  static constexpr std::size_t kMostListeners = 200;
  static constexpr std::size_t kMostLimits = 4'096;
  static constexpr std::size_t kMostSites = 2'000;
  static constexpr std::size_t kMostMirrors = 1'000;

  SeriesTable<RouteCells, 2> routes;        ///< site, route
  SeriesTable<PoolCells, 2> pools;          ///< upstream, pool
  SeriesTable<StaticPoolCells, 2> static_pools;  ///< the static's name, pool
  SeriesTable<ServerCells, 3> servers;      ///< upstream, pool, server
  SeriesTable<ListenerCells, 1> listeners;  ///< its address as written; not dropped, since connections outlive reloads
  SeriesTable<LimitCells, 1> limits;        ///< its name
  const std::shared_ptr<Series<CompressionCells, 0>> compression;  ///< of the whole program
  SeriesTable<DenialCells, 1> denials;      ///< site
  SeriesTable<MirrorCells, 1> mirrors;      ///< the upstream that gets the copies
  const std::shared_ptr<Series<StoredBodyCells, 0>> stored_bodies;  ///< of the whole program

  void drop_unnamed(std::uint64_t oldest_alive, TimePoint now) {
    routes.drop_unnamed(oldest_alive, now);
    pools.drop_unnamed(oldest_alive, now);
    static_pools.drop_unnamed(oldest_alive, now);
    servers.drop_unnamed(oldest_alive, now);
    limits.drop_unnamed(oldest_alive, now);
    denials.drop_unnamed(oldest_alive, now);
    mirrors.drop_unnamed(oldest_alive, now);
  }
};

}  // namespace headgate::observe
