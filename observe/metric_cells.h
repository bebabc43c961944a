// SPDX-License-Identifier: Apache-2.0
// What metrics are counted in: cells that one worker writes and the main thread reads at a scrape. Writing is a load
// and a store, without a locked instruction; a reader sees each number whole and a moment old, and never waits.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>

namespace headgate::observe {

/// A number with one writing thread. Any thread reads.
class Counter {
 public:
  void add(std::uint64_t by) { value_.store(value() + by, std::memory_order_relaxed); }
  void subtract(std::uint64_t by) { value_.store(value() - by, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// The upper bounds of every histogram of durations, and which bucket a duration falls into.
///
/// Prometheus' own defaults (5 ms to 10 s) leave a fast edge in one bucket and its slowest answers in another, so three
/// bounds stand below them; the last is the default of `timeouts.first_byte`. Each is at least twice the one before: an
/// interval between two powers of two holds one bound at most, and so the bucket is found without a search.
class DurationBuckets {
 public:
  /// In nanoseconds; the last bucket takes the rest ("+Inf").
  static constexpr std::array<std::uint64_t, 15> kBounds = {
      250'000,     1'000'000,   2'500'000,     5'000'000,     10'000'000,    25'000'000,     50'000'000,    100'000'000,
      250'000'000, 500'000'000, 1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000, 60'000'000'000};
  /// As Prometheus writes them, in seconds.
  static constexpr std::array<std::string_view, 16> kNames = {"0.00025", "0.001", "0.0025", "0.005", "0.01", "0.025",
                                                              "0.05",    "0.1",   "0.25",   "0.5",   "1",    "2.5",
                                                              "5",       "10",    "60",     "+Inf"};
  static constexpr std::size_t kCount = kBounds.size() + 1;

  /// The first bucket whose bound is not below `nanoseconds`.
  static std::size_t of(std::uint64_t nanoseconds) {
    const std::size_t first = kFirst[static_cast<std::size_t>(std::bit_width(nanoseconds))];
    return first + (nanoseconds > kLimits[first] ? 1 : 0);
  }

 private:
  /// By width in bits: the first bucket whose bound is not below the smallest number of that width.
  static constexpr std::array<std::uint8_t, 65> kFirst = [] {
    std::array<std::uint8_t, 65> first{};
    for (std::size_t width = 1; width < first.size(); ++width) {
      const std::uint64_t smallest = std::uint64_t{1} << (width - 1);
      while (first[width] < kBounds.size() && kBounds[first[width]] < smallest) ++first[width];
    }
    return first;
  }();
  static constexpr std::array<std::uint64_t, kCount> kLimits = [] {
    std::array<std::uint64_t, kCount> limits{};
    for (std::size_t i = 0; i < kBounds.size(); ++i) limits[i] = kBounds[i];
    limits[kBounds.size()] = std::numeric_limits<std::uint64_t>::max();
    return limits;
  }();
};

/// One writing thread.
class DurationHistogram {
 public:
  void add(std::chrono::nanoseconds duration) {
    const auto nanoseconds = duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
    // In microseconds 2^64 lasts 58 years of ten thousand requests under way at any time; in nanoseconds, three weeks.
    sum_.add((nanoseconds + 500) / 1000);
    buckets_[DurationBuckets::of(nanoseconds)].add(1);
  }

  /// Several workers' histograms added up. Plain numbers.
  struct Sum {
    std::array<std::uint64_t, DurationBuckets::kCount> buckets{};
    std::uint64_t microseconds = 0;
    std::uint64_t count() const {
      std::uint64_t all = 0;
      for (const auto bucket : buckets) all += bucket;
      return all;
    }
  };
  void add_to(Sum& sum) const {
    sum.microseconds += sum_.value();
    for (std::size_t i = 0; i < buckets_.size(); ++i) sum.buckets[i] += buckets_[i].value();
  }

 private:
  Counter sum_;
  std::array<Counter, DurationBuckets::kCount> buckets_;
};

/// How often each status code was seen. Three codes cost nothing extra, 29 more one block, and what comes after these
/// counts as code kOtherCode: an origin that answers with every number there is makes no more series than that. One
/// writing thread.
class CodeCounts {
 public:
  static constexpr int kOtherCode = 0;
  static constexpr std::size_t kMost = 32;

  CodeCounts() = default;
  CodeCounts(const CodeCounts&) = delete;
  CodeCounts& operator=(const CodeCounts&) = delete;
  ~CodeCounts() { delete more_.load(std::memory_order_relaxed); }

  void add(int code) {
    const auto wanted = static_cast<std::uint16_t>(code);
    for (std::size_t i = 0; i < kInline; ++i) {
      const auto known = code_[i].load(std::memory_order_relaxed);
      if (known == wanted) return count_[i].add(1);
      if (known == 0) return claim(code_[i], count_[i], wanted);
    }
    add_more(wanted);
  }

  /// Calls each(code, count) for all that were seen; any thread. kOtherCode comes last.
  template <class Each>
  void each(const Each& each_code) const {
    for (std::size_t i = 0; i < kInline; ++i) {
      if (!tell(code_[i], count_[i], each_code)) return;
    }
    const More* const more = more_.load(std::memory_order_acquire);
    if (more == nullptr) return;
    for (std::size_t i = 0; i < more->code.size(); ++i) {
      if (!tell(more->code[i], more->count[i], each_code)) return;
    }
    if (const auto others = more->others.value(); others > 0) each_code(kOtherCode, others);
  }

 private:
  using Code = std::atomic<std::uint16_t>;
  static constexpr std::size_t kInline = 3;
  struct More {
    std::array<Code, kMost - kInline> code{};
    std::array<Counter, kMost - kInline> count;
    Counter others;
  };

  static void claim(Code& code, Counter& count, std::uint16_t wanted) {
    count.add(1);
    code.store(wanted, std::memory_order_release);
  }
  template <class Each>
  static bool tell(const Code& code, const Counter& count, const Each& each_code) {
    const auto known = code.load(std::memory_order_acquire);
    if (known != 0) each_code(static_cast<int>(known), count.value());
    return known != 0;
  }
  void add_more(std::uint16_t code);

  std::array<Code, kInline> code_{};
  std::array<Counter, kInline> count_;
  std::atomic<More*> more_{nullptr};
};

/// Methods as labels: http::Method's numbers, which observe/ may not see. What is none of them is "OTHER".
inline constexpr std::array<std::string_view, 10> kMethodLabels = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                                                   "CONNECT", "OPTIONS", "TRACE", "PATCH", "OTHER"};

/// A route's requests of one method, and the next method's. A request touches two or three cache lines of it.
class alignas(64) RouteCells {
 public:
  RouteCells() = default;
  RouteCells(const RouteCells&) = delete;
  RouteCells& operator=(const RouteCells&) = delete;
  ~RouteCells();

  /// `method`: an index of kMethodLabels. Allocates at the first request of a method. The writing thread.
  void count(std::size_t method, int code, std::chrono::nanoseconds duration) {
    RouteCells* cells = this;
    while (cells->method_.load(std::memory_order_relaxed) != method) cells = cells->of(method);
    cells->codes_.add(code);
    cells->durations_.add(duration);
  }

  /// Calls each(method, codes, durations) for each method that was seen. Any thread.
  template <class Each>
  void each(const Each& each_method) const {
    for (const RouteCells* cells = this; cells != nullptr; cells = cells->next_.load(std::memory_order_acquire)) {
      const auto method = cells->method_.load(std::memory_order_acquire);
      if (method != kNone) each_method(std::size_t{method}, cells->codes_, cells->durations_);
    }
  }

 private:
  static constexpr std::uint8_t kNone = 255;
  RouteCells* of(std::size_t method);

  std::atomic<RouteCells*> next_{nullptr};
  std::atomic<std::uint8_t> method_{kNone};
  CodeCounts codes_;
  DurationHistogram durations_;
};

/// What was asked of one server.
struct alignas(64) ServerCells {
  Counter in_flight;    ///< attempts under way, but for
  Counter tunnels;      ///< those that have become one: they may last for days, and nobody waits for their end
  Counter reuse_races;  ///< kept connections that it closed while a request was on its way
  CodeCounts codes;     ///< one for each attempt
};

/// What was asked of one pool.
struct alignas(64) PoolCells {
  Counter retries;  ///< attempts after the first one of a request
  Counter spilled;  ///< requests that came here since their own pool had no server that was well
  DurationHistogram durations;
};

/// What was asked of one pool of static files.
struct alignas(64) StaticPoolCells {
  Counter in_flight;
  Counter requests;  ///< of its clients, those under way included
  Counter spilled;   ///< of those, they came here since their own pool has no index
  Counter lent;      ///< its files that clients of other pools got, since their own does not have them
};

/// Connections of one listener, and what was held off on them.
struct alignas(64) ListenerCells {
  Counter open;
  Counter shaking_hands;                             ///< of those, in their TLS handshake
  Counter active;                                    ///< of those, with a request under way
  std::array<std::array<Counter, 2>, 3> handshakes;  ///< [index of kTlsVersions][resumed]

  Counter proxy_headers_refused;                     ///< connections that had to begin with one, and did not

  static constexpr std::array<std::string_view, 3> kTlsVersions = {"TLSv1.2", "TLSv1.3", "other"};
  void count_handshake(std::string_view version, bool resumed);

  /// Why clients of HTTP/2 were held off, as http/ names it; the last stands for every other error of the protocol.
  /// From kHttp2Patience on they are what honest clients meet, too.
  static constexpr std::array<std::string_view, 9> kHttp2Reasons = {
      "h2_too_many_resets", "h2_too_many_streams", "h2_control_flood", "h2_empty_data_flood", "h2_continuation_flood",
      "h2_header_flood",    "header_timeout",      "send_timeout",     "protocol_error"};
  static constexpr std::size_t kHttp2Patience = 7;
  std::array<Counter, kHttp2Reasons.size()> http2_held_off;  ///< [index of kHttp2Reasons]
  /// Returns the index.
  std::size_t count_http2_held_off(std::string_view reason);
};

/// What one worker has compressed.
struct alignas(64) CompressionCells {
  static constexpr std::array<std::string_view, 3> kEncodings = {"gzip", "br", "zstd"};
  std::array<Counter, kEncodings.size()> responses;  ///< [index of kEncodings]
  Counter bytes_in;                                  ///< of content, before
  Counter bytes_out;                                 ///< and after
};

/// What became of one worker's copies of requests for one upstream.
struct MirrorCells {
  Counter sent;     ///< and answered
  Counter skipped;  ///< not sent: too large, not read to its end, or too many under way
  Counter failed;   ///< not answered
};

/// Request bodies that one worker has stored before an upstream was asked.
struct alignas(64) StoredBodyCells {
  Counter in_memory;
  Counter in_file;
};

/// What one worker counts for one rate limit.
struct LimitCells {
  Counter limited;  ///< requests over the limit, also those that dry_run let pass
};

/// Why a request was not let in.
enum class Denial : std::uint8_t {
  kAddress,         ///< access
  kNoCredentials,   ///< basic_auth: it brought none
  kBadCredentials,  ///< basic_auth
  kBusy,            ///< basic_auth: nobody had the time to find out
  kService,         ///< forward_auth: the service said so
  kServiceFailed,   ///< forward_auth: it said nothing that could be understood
  kServiceTimeout,  ///< forward_auth: it said nothing in time
};
/// As logs and metrics name them.
inline constexpr std::array<const char*, 7> kDenialReasons = {
    "access_denied",       "auth_required",       "auth_failed",         "auth_busy",
    "forward_auth_denied", "forward_auth_failed", "forward_auth_timeout"};
constexpr const char* reason_of(Denial denial) {
  return kDenialReasons[static_cast<std::size_t>(denial)];
}

/// What one worker counts for one site that does not let everybody in.
struct DenialCells {
  std::array<Counter, kDenialReasons.size()> denied;  ///< by Denial
};

}  // namespace headgate::observe
