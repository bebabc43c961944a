// SPDX-License-Identifier: Apache-2.0
// How one pool's requests fare, in enough detail to compare two pools: for each route class, how they ended and how
// long they took. A worker counts into cells that it alone writes; whoever compares adds the workers' cells up into a
// Scorecard and looks at differences of those. Written once an attempt, a few plain loads and stores.
#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "observe/metric_cells.h"

namespace headgate::observe {

/// How a request to a pool ended. A client that left is not counted at all: that is nobody's failure.
enum class Outcome : std::uint8_t {
  kAnswered,  ///< with a status below 500, to the end
  kConnectError,
  kReset,    ///< the connection broke, or what came was no HTTP
  kTimeout,  ///< to the connection, the first byte or the next one
  k500,
  k502,
  k503,
  k504,
  kOther5xx,
};
inline constexpr std::size_t kOutcomes = 9;
inline constexpr std::array<std::string_view, kOutcomes> kOutcomeNames = {
    "answered", "connect_error", "reset", "timeout", "500", "502", "503", "504", "other_5xx"};

constexpr Outcome outcome_of_status(int status) {
  switch (status) {
    case 500:
      return Outcome::k500;
    case 502:
      return Outcome::k502;
    case 503:
      return Outcome::k503;
    case 504:
      return Outcome::k504;
    default:
      return status > 500 && status <= 599 ? Outcome::kOther5xx : Outcome::kAnswered;
  }
}

/// Log-linear buckets of microseconds: one a microsecond up to 32, then 32 to each power of two, so that a bucket is at
/// most 1/32 of its value wide and its middle at most 1.6 % off. The last one takes all from 134 s on.
class LatencyScale {
 public:
  static constexpr std::size_t kSteps = 32;
  static constexpr std::size_t kCount = kSteps + 22 * kSteps;

  static constexpr std::size_t of(std::uint64_t microseconds) {
    if (microseconds < kSteps) return static_cast<std::size_t>(microseconds);
    const int shift = static_cast<int>(std::bit_width(microseconds)) - 6;
    const std::size_t bucket =
        kSteps + static_cast<std::size_t>(shift) * kSteps + static_cast<std::size_t>(microseconds >> shift) - kSteps;
    return bucket < kCount ? bucket : kCount - 1;
  }
  /// The smallest number of microseconds above the bucket.
  static constexpr std::uint64_t end(std::size_t bucket) {
    if (bucket < kSteps) return bucket + 1;
    const std::size_t shift = (bucket - kSteps) / kSteps;
    return static_cast<std::uint64_t>(kSteps + (bucket - kSteps) % kSteps + 1) << shift;
  }
};

/// Routes that are told apart. Those that use the upstream have a class each, in the order of the configuration; the
/// last class takes the rest.
inline constexpr std::size_t kMostRouteClasses = 16;

/// What is known of one route class. Plain numbers that only grow while a process lives.
struct ClassScore {
  std::array<std::uint64_t, kOutcomes> outcomes{};
  /// By bucket of LatencyScale; only of those that were answered: a failure that comes fast is not a fast answer.
  std::vector<std::uint64_t> latencies = std::vector<std::uint64_t>(LatencyScale::kCount);

  std::uint64_t requests() const;
  std::uint64_t errors() const { return requests() - outcomes[static_cast<std::size_t>(Outcome::kAnswered)]; }
  void add(Outcome outcome, std::chrono::nanoseconds latency);
  ClassScore& operator+=(const ClassScore& other);
  /// Never below zero: where `earlier` has more, as when another process has taken over, what is left counts as 0.
  ClassScore& operator-=(const ClassScore& earlier);
};

/// What is known of one pool: of a worker, a process, a fleet. Two of them of the same pool may be added up, and an
/// earlier one taken from a later one.
struct Scorecard {
  Scorecard() = default;
  explicit Scorecard(std::size_t route_classes) : classes(route_classes) {}

  std::vector<ClassScore> classes;
  std::uint64_t started = 0;  ///< requests sent to the pool, also those that are under way

  std::uint64_t requests() const;  ///< that have ended
  std::uint64_t errors() const;
  Scorecard& operator+=(const Scorecard& other);    ///< takes over classes that it has not
  Scorecard& operator-=(const Scorecard& earlier);  ///< as ClassScore's
};

/// The value below which `share` (0 to 1) of the latencies lie, by the upper end of its bucket; 0 of none.
std::chrono::microseconds quantile(std::span<const std::uint64_t> latencies, double share);

/// One worker's cells of one pool, some 6 KB for each route class. One writing thread; any thread reads.
class ScoreCells {
 public:
  /// At least 1 and at most kMostRouteClasses are kept.
  explicit ScoreCells(std::size_t route_classes);

  /// A request goes out to the pool.
  void start() { started_.add(1); }
  /// It has ended. `latency`: until its answer's first byte, or what the caller counts for all pools alike. A class
  /// beyond the last counts as the last.
  void end(std::size_t route_class, Outcome outcome, std::chrono::nanoseconds latency);

  /// Adds what has been counted so far. `sum` has at least as many classes, or gets them.
  void add_to(Scorecard& sum) const;

 private:
  struct alignas(64) ClassCells {
    std::array<Counter, kOutcomes> outcomes;
    std::array<Counter, LatencyScale::kCount> latencies;
  };
  std::size_t count_;
  std::unique_ptr<ClassCells[]> classes_;
  Counter started_;
};

}  // namespace headgate::observe
