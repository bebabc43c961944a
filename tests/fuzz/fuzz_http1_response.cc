// SPDX-License-Identifier: Apache-2.0
// Input: a byte that chooses the method and how bytes arrive, then all that an origin sends before it closes. The
// answer is the same however it was cut, and no more than what was sent.
#include <string>

#include "base/task_group.h"
#include "http/http1_client.h"
#include "tests/fuzz/invariant.h"
#include "tests/unit/http/wire_stream.h"

using headgate::kNoDeadline;
using headgate::Loop;
using headgate::Task;
using headgate::fuzz::demand;
namespace http = headgate::http;

namespace {

struct Reply {
  std::string heads;
  std::string body;
  std::string trailers;
  std::string error;
  bool reusable = false;
};

void append_fields(const http::Fields& fields, std::string& out) {
  for (const auto& field : fields) {
    demand(http::is_token(field.name), "a field name is a token");
    demand(http::is_field_value(field.value), "a field value has no control characters");
    out.append(field.name).append(":").append(field.value).append("\n");
  }
}

Task<> read_answer(http::ClientExchange& exchange, Reply& reply) {
  for (int status = 0; status < 200 && status != 101;) {
    const auto head = co_await exchange.read_head(kNoDeadline);
    if (!head) {
      reply.error = head.error().reason;
      co_return;
    }
    status = (*head)->status;
    demand(status >= 100 && status <= 599, "a status is one of HTTP's");
    reply.heads += std::to_string(status) + "\n";
    append_fields((*head)->fields, reply.heads);
  }
  for (;;) {
    const bool ready = exchange.body_ready();
    demand(ready || !exchange.body_finished(), "an end is ready");
    const auto piece = co_await exchange.read_body(kNoDeadline);
    if (!piece) {
      reply.error = piece.error().reason;
      co_return;
    }
    if (piece->empty()) break;
    reply.body.append(piece->data(), piece->size());
  }
  demand(exchange.body_finished(), "an empty piece is the end");
  append_fields(exchange.trailers(), reply.trailers);
}

Task<> fetch(http::ClientExchange& exchange, http::Method method, Loop& loop, Reply& reply, bool& ended) {
  http::RequestHead head;
  head.method = method;
  head.method_name = method == http::Method::kHead ? "HEAD" : "GET";
  head.target = "/";
  head.authority = "a";
  exchange.start(head);
  const auto sent = co_await exchange.finish(nullptr);
  demand(sent.has_value(), "the request is taken");
  co_await read_answer(exchange, reply);
  reply.reusable = exchange.reusable();
  ended = true;
  loop.stop();
}

Reply ask(Loop& loop, std::string_view bytes, http::Method method, std::size_t piece, bool pauses) {
  http::WireStream stream(loop, headgate::Side::kUpstream);
  stream.read_piece = piece;
  stream.pauses = pauses;
  stream.send(bytes);
  stream.finish();
  http::Http1ClientExchange exchange(loop, stream, std::chrono::seconds(60));
  Reply reply;
  bool ended = false;
  headgate::TaskGroup group(loop);
  group.spawn(fetch(exchange, method, loop, reply, ended));
  while (!ended) loop.run();
  demand(reply.body.size() <= bytes.size(), "there is no more content than what was sent");
  demand(!reply.reusable || reply.error.empty(), "a connection that failed is not used again");
  return reply;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  static Loop loop;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto method = (data[0] & 1) != 0 ? http::Method::kHead : http::Method::kGet;
  const auto whole = ask(loop, bytes, method, http::WireStream::kUnlimited, false);
  const auto pieces = ask(loop, bytes, method, 1 + (data[0] >> 2), (data[0] & 2) != 0);
  demand(pieces.heads == whole.heads && pieces.error == whole.error, "pieces make the same answer");
  // How much of a body comes before its failure depends on the pieces.
  if (!whole.error.empty()) return 0;
  demand(pieces.body == whole.body && pieces.trailers == whole.trailers, "pieces make the same body");
  // Bytes behind the answer may not have been read yet when it ends.
  demand(!whole.reusable || pieces.reusable, "a connection is used again however the bytes came");
  return 0;
}
