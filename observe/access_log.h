// SPDX-License-Identifier: Apache-2.0
// The access log: one line a request, formatted on the worker into its own buffer, without a lock, and written in
// batches by a thread of its own. A full disk or a slow reader of a pipe never holds up a request: what does not fit
// into the bounded queue is counted and dropped, and the count is logged.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "config/model.h"

namespace headgate::observe {

/// What is known when a response has ended. Views need to live only during the call of log().
struct AccessRecord {
  std::string_view request_id;
  std::string_view client;
  std::string_view method;
  std::string_view host;
  std::string_view uri;       ///< with its query, as sent
  std::string_view protocol;  ///< HTTP/1.1
  int status = 0;             ///< 0: the client went away before an answer; written as 499
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::chrono::nanoseconds duration{0};
  std::string_view site;
  std::string_view route;
  std::string_view upstream;
  std::string_view pool;
  std::string_view server;
  std::chrono::nanoseconds upstream_time{-1};  ///< negative: no upstream was asked
  unsigned attempts = 0;
  std::string_view tls_version;
  std::string_view user_agent;
  std::string_view referer;
  std::string_view user;          ///< who has proven it (basic_auth); empty: nobody
  std::string_view rate_limited;  ///< the limit's name; empty: not limited
  std::string_view encoding;      ///< what the answer was compressed with here; empty: it was not
  bool shielded = false;          ///< a rollout's new pool failed, and another pool answered; written when true
  bool mirrored = false;          ///< another upstream was sent a copy; written when true
  std::string_view error;         ///< why a 4xx or 5xx was ours, or why the answer broke off; empty: none
};

/// Process-wide. Any thread, except where noted.
class AccessLog {
 public:
  /// Opens the output; throws std::system_error naming it. With format off nothing is opened or started.
  explicit AccessLog(const config::AccessLog& settings);
  ~AccessLog();  ///< writes what is queued (bounded in time), then ends the thread
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  bool enabled() const;

  /// Lines lost so far, because the queue was full or the output failed.
  std::uint64_t dropped() const;

  /// Opens the file again after rotation; lines already queued go to the old one. The old stays when that fails.
  void reopen();

  /// One worker's end. Not thread-safe; must not outlive the AccessLog. Its owner calls flush() when the loop has been
  /// quiet or at the latest every 100 ms or so; log() hands over by itself when the buffer is full.
  class Writer {
   public:
    explicit Writer(AccessLog& log);
    ~Writer();  ///< flushes
    /// `ended`: when the response did; the line's time is of the wall clock then.
    void log(const AccessRecord& record, TimePoint ended);
    bool empty() const;
    void flush();

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace headgate::observe
