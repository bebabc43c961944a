// SPDX-License-Identifier: Apache-2.0
// An Http1ClientExchange over a WireStream whose peer, the origin, is the test.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/task_group.h"
#include "http/http1_client.h"
#include "wire_stream.h"

namespace headgate::http {

inline RequestHead request_of(Method method, std::string_view name, std::string_view target = "/") {
  RequestHead head;
  head.method = method;
  head.method_name = name;
  head.target = target;
  head.authority = "origin:1";
  return head;
}
inline RequestHead get_request() {
  return request_of(Method::kGet, "GET");
}

/// What the origin said, as it was understood.
struct Reply {
  std::vector<int> interim;
  int status = 0;
  std::optional<std::uint64_t> length;
  std::string fields;
  std::string body;
  std::string trailers;
  std::string error;  ///< where it broke off
  bool answered = false;
  bool reusable = false;
  friend bool operator==(const Reply&, const Reply&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Reply& reply) {
  for (const int status : reply.interim) out << status << " ";
  return out << reply.status << " {" << reply.fields << "} '" << reply.body.substr(0, 200) << "' {" << reply.trailers
             << "} " << reply.error << (reply.answered ? " answered" : "") << (reply.reusable ? " reusable" : "");
}

inline std::string text_of(const Fields& fields) {
  std::string out;
  for (const auto& field : fields) out.append(field.name).append("=").append(field.value).append(";");
  return out;
}

inline Task<> read_answer(ClientExchange& exchange, TimePoint deadline, Reply& reply) {
  for (;;) {
    const auto head = co_await exchange.read_head(deadline);
    if (!head) {
      reply.error = head.error().reason;
      co_return;
    }
    if ((*head)->status >= 200 || (*head)->status == 101) {
      reply.status = (*head)->status;
      reply.length = (*head)->content_length;
      reply.fields = text_of((*head)->fields);
      break;
    }
    reply.interim.push_back((*head)->status);
  }
  for (;;) {
    const auto piece = co_await exchange.read_body(deadline);
    if (!piece) {
      reply.error = piece.error().reason;
      co_return;
    }
    if (piece->empty()) break;
    reply.body.append(piece->data(), piece->size());
  }
  EXPECT_TRUE(exchange.body_finished());
  reply.trailers = text_of(exchange.trailers());
}

inline Task<> fetch(ClientExchange& exchange, const RequestHead& head, Reply& reply) {
  exchange.start(head);
  const auto sent = co_await exchange.finish(nullptr);
  if (!sent) reply.error = sent.error().reason;
  if (sent) co_await read_answer(exchange, kNoDeadline, reply);
  reply.answered = exchange.fate({Errc::kClosed, Side::kUpstream, ""}) == ClientExchange::Fate::kUnknown;
  reply.reusable = exchange.reusable();
}

inline Task<> then_stop(Task<> task, Loop& loop, bool& done) {
  co_await task;
  done = true;
  loop.stop();
}

class ClientTest : public testing::Test {
 protected:
  void run(Task<> task) {
    bool done = false;
    TaskGroup group(loop);
    group.spawn(then_stop(std::move(task), loop, done));
    while (!done) loop.run();
  }
  void settle() {
    for (int turn = 0; turn < 32; ++turn) {
      loop.stop();
      loop.run();
    }
  }

  /// The origin's bytes, arriving in two parts and then, with `ends`, its end.
  Reply ask(std::string_view bytes, bool ends, const RequestHead& head, std::size_t cut, std::size_t piece,
            bool pauses) {
    WireStream stream(loop, Side::kUpstream);
    stream.read_piece = piece;
    stream.pauses = pauses;
    Http1ClientExchange exchange(loop, stream, std::chrono::seconds(20));
    stream.send(bytes.substr(0, cut));
    const auto rest = bytes.substr(cut);
    stream.on_wait_read = [&, sent = false]() mutable {
      if (std::exchange(sent, true)) return;
      loop.post([&] {
        stream.send(rest);
        if (ends) stream.finish();
      });
    };
    Reply reply;
    run(fetch(exchange, head, reply));
    return reply;
  }

  /// In every way in which they can arrive.
  Reply ask(std::string_view bytes, bool ends = false, const RequestHead& head = get_request()) {
    const Reply whole = ask(bytes, ends, head, bytes.size(), WireStream::kUnlimited, false);
    const Reply by_bytes = ask(bytes, ends, head, bytes.size(), 1, true);
    EXPECT_EQ(unless_left_over(by_bytes, whole), whole) << "by bytes: " << bytes;
    const std::size_t step = bytes.size() > 2000 ? 997 : 1;
    for (std::size_t cut = 0; cut < bytes.size(); cut += step) {
      const Reply reply = ask(bytes, ends, head, cut, WireStream::kUnlimited, false);
      EXPECT_EQ(unless_left_over(reply, whole), whole) << "cut at " << cut << ": " << bytes;
    }
    return whole;
  }

  /// Bytes behind the answer that have not been read are for the pool to find.
  static Reply unless_left_over(Reply reply, const Reply& whole) {
    if (!whole.reusable) reply.reusable = false;
    return reply;
  }

  Loop loop;
};

}  // namespace headgate::http
