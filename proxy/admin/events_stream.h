// SPDX-License-Identifier: Apache-2.0
// `GET /v1/events`: what happens, told as server-sent events (the HTML standard, section 9.2) to everybody who asks.
// Events are kept once (observe::Events); a reader is a place in them and never a queue, so one that is slow costs what
// it is being sent, and is dropped when it takes nothing for the session's idle limit.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <boost/intrusive/list.hpp>

#include "base/task_group.h"
#include "http/exchange.h"
#include "observe/events.h"

namespace headgate::proxy {

/// "RUN-NUMBER": numbers begin anew with each start of the program, so an id says which start it is of.
class EventIds {
 public:
  explicit EventIds(std::chrono::system_clock::time_point started);
  std::string text(std::uint64_t number) const;
  /// After which event a reader goes on that has seen `last`; 0, all that are kept, for an id of another start.
  std::uint64_t seen(std::string_view last) const;

 private:
  std::string run_;
};

/// One event as it is sent: id, event and data, the data as a JSON object in one line.
std::string event_text(const observe::Event& event, const EventIds& ids);

/// Main thread only; the events outlive it.
class EventsStream {
 public:
  static constexpr std::size_t kMostReaders = 16;
  /// A comment after such a silence shows both ends that the other is there.
  static constexpr Duration kSilence = std::chrono::seconds(15);

  EventsStream(Loop& loop, observe::Events& events, std::chrono::system_clock::time_point started);
  ~EventsStream();
  EventsStream(const EventsStream&) = delete;
  EventsStream& operator=(const EventsStream&) = delete;

  /// Answers with events until the reader leaves or close().
  Task<> respond(http::Exchange& exchange);

  /// Readers are given what has happened, and their answers end.
  void close();

 private:
  struct Reader : boost::intrusive::list_base_hook<> {
    explicit Reader(Loop& loop) : alarm(loop) {}
    Event alarm;
    bool gone = false;
  };
  Task<> send(http::Exchange& exchange, Reader& reader, std::uint64_t seen);
  static Task<> watch(http::Exchange& exchange, Reader& reader);
  void wake();

  Loop& loop_;
  observe::Events& events_;
  const EventIds ids_;
  boost::intrusive::list<Reader> readers_;
  /// A turn of the loop is asked for: events that come before it ask for no other. What is posted may outlive this.
  std::shared_ptr<std::atomic<bool>> posted_ = std::make_shared<std::atomic<bool>>(false);
  bool closed_ = false;
};

}  // namespace headgate::proxy
