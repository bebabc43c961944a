// SPDX-License-Identifier: Apache-2.0
// An Http1Session over a WireStream, with a handler of the test's own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "answer_reader.h"
#include "base/loop.h"
#include "base/task_group.h"
#include "http/http1_session.h"
#include "wire_stream.h"

namespace headgate::http {

/// A date of its own, so that answers of two runs can be compared.
inline ResponseHead head_of(int status, std::optional<std::uint64_t> length = std::nullopt) {
  ResponseHead head;
  head.status = status;
  head.content_length = length;
  head.fields.add("Date", "Thu, 01 Jan 1970 00:00:00 GMT");
  return head;
}

class TestHandler final : public Handler {
 public:
  std::function<Task<>(Exchange&)> answer;
  std::function<void()> refused;  ///< called when a refusal has been answered
  SessionLimits limits;
  std::vector<std::string> seen;      ///< "GET /path" of each request
  std::vector<std::string> refusals;  ///< "400 reason GET /path"
  std::vector<std::string> reasons;   ///< of held_off()

  Task<> handle(Exchange& exchange) override {
    seen.push_back(name_of(exchange));
    return answer(exchange);
  }
  Task<> refuse(Exchange& exchange, const Rejection& rejection) override {
    refusals.push_back(std::to_string(rejection.status) + " " + rejection.reason + " " + name_of(exchange));
    const std::string_view text = rejection.reason;
    const ResponseHead head = head_of(rejection.status, text.size());
    const std::span<const char> body(text.data(), text.size());
    co_await exchange.respond(head, body);
    if (refused) refused();
  }
  const SessionLimits& session_limits() const override { return limits; }
  void held_off(const ConnectionInfo&, const char* reason) override { reasons.emplace_back(reason); }

 private:
  static std::string name_of(const Exchange& exchange) {
    return std::string(exchange.request.method_name) + " " + std::string(exchange.request.target);
  }
};

/// The whole body; `error` is the reason when it broke off.
struct BodyRead {
  std::string text;
  std::string error;
  std::size_t pieces = 0;
};

inline Task<> read_all(Exchange& exchange, BodyRead& out) {
  for (;;) {
    const auto piece = co_await exchange.read_body();
    if (!piece) {
      out.error = piece.error().reason;
      co_return;
    }
    if (piece->empty()) co_return;
    out.text.append(piece->data(), piece->size());
    ++out.pieces;
  }
}

inline Task<> respond_text(Exchange& exchange, int status, std::string text) {
  const ResponseHead head = head_of(status, text.size());
  const std::span<const char> body(text);
  co_await exchange.respond(head, body);
}

/// Reads the body and says it back: "METHOD target body".
inline Task<> echo(Exchange& exchange) {
  BodyRead body;
  co_await read_all(exchange, body);
  std::string text = std::string(exchange.request.method_name) + " " + std::string(exchange.request.target) + " " +
                     (body.error.empty() ? body.text : "!" + body.error);
  for (const auto& trailer : exchange.trailers()) {
    text.append(" ").append(trailer.name).append("=").append(trailer.value);
  }
  co_await respond_text(exchange, body.error.empty() ? 200 : 400, std::move(text));
}

/// How bytes come and go: the whole at once, or in pieces, with or without waits between them.
struct Way {
  const char* name;
  std::size_t read_piece;
  std::size_t write_piece;
  bool pauses;
};
inline constexpr Way kWays[] = {{"at once", WireStream::kUnlimited, WireStream::kUnlimited, false},
                                {"with waits", WireStream::kUnlimited, WireStream::kUnlimited, true},
                                {"by bytes", 1, 1, false},
                                {"by bytes with waits", 1, 1, true},
                                {"by threes", 3, 2, true},
                                {"by sevens", 7, 5, false}};

/// How a connection went.
struct Served {
  std::string output;
  bool orderly = false;
  bool aborted = false;
  std::vector<std::string> seen;
  std::vector<std::string> refusals;
  std::size_t operations = 0;
  friend bool operator==(const Served& a, const Served& b) {
    return a.output == b.output && a.orderly == b.orderly && a.aborted == b.aborted && a.seen == b.seen &&
           a.refusals == b.refusals;
  }
};

inline std::ostream& operator<<(std::ostream& out, const Served& served) {
  out << (served.orderly ? "orderly" : "broken off") << (served.aborted ? ", reset" : "") << ":";
  for (const auto& seen : served.seen) out << " [" << seen << "]";
  for (const auto& refusal : served.refusals) out << " refused [" << refusal << "]";
  return out << "\n" << served.output;
}

/// One connection. The loop turns only when the test says so.
class Connection {
 public:
  Connection(Loop& loop, TestHandler& handler, const Way& way = kWays[0])
      : loop_(loop), stream(loop), session(loop, stream, info, handler), group_(loop) {
    stream.read_piece = way.read_piece;
    stream.write_piece = way.write_piece;
    stream.pauses = way.pauses;
  }
  ~Connection() {
    stream.cancel();
    for (int i = 0; i < 100 && started_ && !ended_; ++i) settle();
    EXPECT_TRUE(!started_ || ended_) << "the session does not end when its stream is cancelled";
  }

  /// Runs the session up to its first wait.
  void start() {
    started_ = true;
    group_.spawn(drive(*this));
  }
  /// Turns the loop until nothing more happens without the peer or a deadline.
  void settle() {
    for (int turn = 0; turn < 64; ++turn) {
      loop_.stop();
      loop_.run();
    }
  }
  /// Turns the loop until the session has ended. What does not end meets the test's time limit.
  void run() {
    if (!started_) start();
    while (!ended_) loop_.run();
  }

  bool ended() const { return ended_; }
  bool orderly() const { return orderly_; }

 private:
  static Task<> drive(Connection& me) {
    me.orderly_ = co_await me.session.run();
    me.ended_ = true;
    me.loop_.stop();
  }

  Loop& loop_;
  bool started_ = false;
  bool ended_ = false;
  bool orderly_ = false;

 public:
  ConnectionInfo info;
  WireStream stream;
  Http1Session session;

 private:
  TaskGroup group_;
};

class SessionTest : public testing::Test {
 protected:
  SessionTest() { handler.answer = echo; }

  /// The peer sends all of this and then finishes its half.
  Served serve(std::string_view input, const Way& way, std::size_t fail_at = WireStream::kUnlimited) {
    handler.seen.clear();
    handler.refusals.clear();
    Connection connection(loop, handler, way);
    connection.stream.fail_at = fail_at;
    connection.stream.send(input);
    connection.stream.finish();
    connection.run();
    return {connection.stream.output(), connection.orderly(),          connection.stream.aborted(), handler.seen,
            handler.refusals,           connection.stream.operations()};
  }

  /// The same in every way in which the bytes can come and go; all must end alike.
  Served serve(std::string_view input) {
    const Served first = serve(input, kWays[0]);
    for (const auto& way : kWays) EXPECT_EQ(serve(input, way), first) << way.name << ": " << input;
    return first;
  }

  /// What the client understands of an output; methods: of its requests, GET beyond the end.
  static std::vector<Answer> answers(std::string_view output, const std::vector<std::string>& methods = {}) {
    AnswerReader reader(output);
    std::vector<Answer> out;
    std::size_t request = 0;
    Answer answer;
    while (reader.next(request < methods.size() && methods[request] == "HEAD", answer)) {
      if (answer.status >= 200) ++request;
      out.push_back(answer);
    }
    EXPECT_EQ(reader.error(), "") << output;
    return out;
  }

  static std::vector<std::string> bodies(std::string_view output) {
    std::vector<std::string> out;
    for (const auto& answer : answers(output)) {
      EXPECT_TRUE(answer.complete) << output;
      out.push_back(std::to_string(answer.status) + " " + answer.body);
    }
    return out;
  }

  Loop loop;
  TestHandler handler;
};

inline Task<> wait_first(Exchange& exchange, Event& go) {
  co_await go.wait(kNoDeadline);
  co_await echo(exchange);
}

/// The input, and the connection stays open: what the session does with it before it waits for more.
class OpenTest : public SessionTest {
 protected:
  Connection& open(std::string_view input = "", const Way& way = kWays[0]) {
    connection_ = std::make_unique<Connection>(loop, handler, way);
    connection_->start();
    send(input);
    return *connection_;
  }
  void send(std::string_view input) {
    connection_->stream.send(input);
    connection_->settle();
  }
  void TearDown() override { connection_.reset(); }

  Event go{loop};  ///< what a handler of the test waits for
  std::unique_ptr<Connection> connection_;
};

inline constexpr std::string_view kDate = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";

/// What a head_of() looks like on the wire.
inline std::string with_date(std::string_view status_line, std::string_view rest) {
  return std::string(status_line) + "\r\n" + std::string(kDate) + std::string(rest);
}

inline std::string get(std::string_view path, std::string_view fields = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(fields) + "\r\n";
}
inline std::string post(std::string_view path, std::string_view body, std::string_view fields = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(fields) + "\r\n" + std::string(body);
}
inline std::string post_chunked(std::string_view path, std::string_view chunks, std::string_view fields = "") {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + std::string(fields) +
         "\r\n" + std::string(chunks);
}

}  // namespace headgate::http
