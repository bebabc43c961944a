// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/events_stream.h"

#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "observe/access_line.h"
#include "proxy/admin/answer.h"

namespace headgate::proxy {
namespace {

/// Events of one write: what a reader may have in memory.
constexpr std::size_t kPiece = 32 * 1024;

}  // namespace

EventIds::EventIds(std::chrono::system_clock::time_point started)
    : run_(fmt::format("{:x}-",
                       std::chrono::duration_cast<std::chrono::microseconds>(started.time_since_epoch()).count())) {}

std::string EventIds::text(std::uint64_t number) const {
  return run_ + std::to_string(number);
}

std::uint64_t EventIds::seen(std::string_view last) const {
  if (!last.starts_with(run_)) return 0;
  last.remove_prefix(run_.size());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(last.data(), last.data() + last.size(), number);
  return error == std::errc() && end == last.data() + last.size() ? number : 0;
}

std::string event_text(const observe::Event& event, const EventIds& ids) {
  observe::LineTime time;
  time.set(event.at);
  nlohmann::json data = {{"time", time.rfc3339()}, {"type", event.type}};
  for (const auto& [name, value] : event.fields) data[name] = value;
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", ids.text(event.id), event.type, to_text(data));
}

EventsStream::EventsStream(Loop& loop, observe::Events& events, std::chrono::system_clock::time_point started)
    : loop_(loop), events_(events), ids_(started) {
  events_.on_added([this, posted = posted_] {
    if (posted->exchange(true)) return;
    loop_.post([this, posted] {
      // One reference is left when the stream has gone meanwhile.
      if (posted.use_count() > 1 && posted->exchange(false)) wake();
    });
  });
}

EventsStream::~EventsStream() {
  events_.on_added(nullptr);
}

void EventsStream::wake() {
  for (auto& reader : readers_) reader.alarm.set();
}

void EventsStream::close() {
  closed_ = true;
  wake();
}

/// One who leaves makes place for another at once, and not at the next comment.
Task<> EventsStream::watch(http::Exchange& exchange, Reader& reader) {
  const bool gone = co_await exchange.departed();
  reader.gone = gone;
  reader.alarm.set();
}

Task<> EventsStream::respond(http::Exchange& exchange) {
  if (closed_ || readers_.size() >= kMostReaders) {
    const auto why =
        closed_ ? std::string("the program is stopping") : fmt::format("{} readers are there already", kMostReaders);
    co_await proxy::respond(exchange, 503, error_json("no_stream", why));
    co_return;
  }
  const auto last = exchange.request.fields.get("last-event-id");
  const std::uint64_t seen = last ? ids_.seen(*last) : events_.last_id();
  http::ResponseHead head;
  head.fields.add(http::FieldId::kContentType, "Content-Type", "text/event-stream");
  head.fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
  exchange.close_after();
  exchange.start(head);
  if (exchange.request.method != http::Method::kHead) {
    Reader reader(loop_);
    readers_.push_back(reader);
    Task<> watcher = watch(exchange, reader);
    watcher.start();
    co_await send(exchange, reader, seen);
    readers_.erase(readers_.iterator_to(reader));
    exchange.cancel_read();
    co_await watcher;
  }
  co_await exchange.finish();
}

Task<> EventsStream::send(http::Exchange& exchange, Reader& reader, std::uint64_t seen) {
  std::string text = ": headgate\n\n";  // a reader knows by it that it is being told from now on
  while (!reader.gone) {
    reader.alarm.clear();
    const bool last = closed_;
    for (const auto& event : events_.after(seen)) {
      if (text.size() > kPiece) {
        reader.alarm.set();
        break;
      }
      if (event.id > seen + 1) text += fmt::format(": {} events are no longer kept\n\n", event.id - seen - 1);
      text += event_text(event, ids_);
      seen = event.id;
    }
    if (!text.empty()) {
      const auto sent = co_await exchange.write(text);
      if (!sent) {
        if (sent.error().code == Errc::kTimeout) log::info("a reader of events took nothing for too long: let go");
        co_return;
      }
      text.clear();
    }
    if (last && !reader.alarm.is_set()) co_return;
    const Wake wake = co_await reader.alarm.wait(deadline_after(loop_.now(), kSilence));
    if (wake == Wake::kTimeout) text = ":\n\n";
  }
}

}  // namespace headgate::proxy
