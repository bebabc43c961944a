// SPDX-License-Identifier: Apache-2.0
// Input: a byte that chooses how bytes come and go, then all that a client sends before it closes. The connection ends
// by itself, every answer is well-formed, and the answers do not depend on how the bytes were cut.
#include <string>
#include <vector>

#include "base/task_group.h"
#include "http/http1_session.h"
#include "tests/fuzz/invariant.h"
#include "tests/unit/http/answer_reader.h"
#include "tests/unit/http/wire_stream.h"

using headgate::Loop;
using headgate::Result;
using headgate::Task;
using headgate::fuzz::demand;
namespace http = headgate::http;

namespace {

http::ResponseHead head_of(int status) {
  http::ResponseHead head;
  head.status = status;
  head.fields.add("Date", "Thu, 01 Jan 1970 00:00:00 GMT");
  return head;
}

/// Reads the body; what went wrong, or the content.
Task<std::string> read_body(http::Exchange& exchange) {
  std::string text;
  for (;;) {
    const auto piece = co_await exchange.read_body();
    // What is wrong first may depend on the pieces; that something is does not.
    if (!piece) co_return "!" + std::string(headgate::to_string(piece.error().code));
    if (piece->empty()) co_return text;
    text.append(piece->data(), piece->size());
    demand(text.size() == exchange.body_bytes(), "what is given out is counted");
  }
}

class FuzzHandler final : public http::Handler {
 public:
  /// The path's first letter chooses what is done with the request.
  Task<> handle(http::Exchange& exchange) override {
    const auto& request = exchange.request;
    heads.push_back(request.method == http::Method::kHead);
    demand(!request.target.empty(), "a request has a target");
    demand(request.fields.size() <= limits.max_headers, "fields are limited");
    const char choice = request.path.size() > 1 ? request.path[1] : ' ';
    std::string text = "unread";
    if (choice != 'i' && choice != '2') text = co_await read_body(exchange);
    const std::span<const char> body(text);
    http::ResponseHead head = head_of(choice == '2' ? 204 : choice == '3' ? 304 : choice == '4' ? 400 : 200);
    if (choice == 'c') {
      exchange.start(head);
      const auto sent = co_await exchange.write(body, false);
      if (sent) co_await exchange.finish(&exchange.trailers());
    } else if (choice == 'a') {
      broken_off = true;
      head.content_length = body.size() + 1;
      co_await exchange.respond(head, body);
    } else {
      head.content_length = body.size();
      co_await exchange.respond(head, body);
    }
  }

  Task<> refuse(http::Exchange& exchange, const http::Rejection& rejection) override {
    demand(rejection.status >= 400 && rejection.status < 600, "a refusal is an error");
    heads.push_back(exchange.request.method == http::Method::kHead);
    refused = true;
    const std::string_view text = rejection.reason;
    const std::span<const char> body(text.data(), text.size());
    http::ResponseHead head = head_of(rejection.status);
    head.content_length = body.size();
    co_await exchange.respond(head, body);
  }

  const http::SessionLimits& session_limits() const override { return limits; }

  http::SessionLimits limits{.max_header_bytes = 2048, .max_headers = 20};
  std::vector<bool> heads;  ///< of each request: was it HEAD
  bool broken_off = false;
  bool refused = false;
};

struct Outcome {
  std::vector<std::string> answers;
  bool orderly = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Task<> run_session(http::Http1Session& session, Loop& loop, Outcome& outcome, bool& ended) {
  outcome.orderly = co_await session.run();
  ended = true;
  loop.stop();
}

Outcome serve(Loop& loop, std::string_view bytes, std::size_t piece, bool pauses) {
  FuzzHandler handler;
  http::WireStream stream(loop);
  stream.read_piece = stream.write_piece = piece;
  stream.pauses = pauses;
  stream.send(bytes);
  stream.finish();
  const http::ConnectionInfo info;
  http::Http1Session session(loop, stream, info, handler);
  Outcome outcome;
  bool ended = false;
  headgate::TaskGroup group(loop);
  group.spawn(run_session(session, loop, outcome, ended));
  while (!ended) loop.run();

  http::AnswerReader reader(stream.output());
  std::size_t request = 0;
  bool complete = true;
  http::Answer answer;
  while (reader.next(request < handler.heads.size() && handler.heads[request], answer)) {
    if (answer.status < 200) continue;
    demand(request < handler.heads.size(), "there is no answer without a request");
    demand(complete, "nothing follows an answer that was cut");
    complete = answer.complete;
    ++request;
    outcome.answers.push_back(std::to_string(answer.status) + " " + answer.body);
    for (const auto& [name, value] : answer.trailers) outcome.answers.back() += " " + name + "=" + value;
  }
  demand(reader.error().empty(), "every answer is well-formed");
  demand(request == handler.heads.size(), "every request is answered");
  // What is wrong with a head is told in other words when it is seen sooner.
  if (handler.refused) outcome.answers.back() = "refused";
  demand(complete || handler.broken_off, "an answer is whole unless it was broken off");
  demand(outcome.orderly || handler.broken_off, "a connection ends in order unless an answer was broken off");
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  static Loop loop;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = serve(loop, bytes, http::WireStream::kUnlimited, false);
  const std::size_t piece = 1 + (data[0] >> 1) % 64;
  demand(serve(loop, bytes, piece, (data[0] & 1) != 0) == whole, "pieces are answered as the whole is");
  return 0;
}
