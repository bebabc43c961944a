// SPDX-License-Identifier: Apache-2.0
// Input: a byte that chooses how bytes come and go, one that chooses what is asked, then all that an origin sends
// before it closes; with the top bit of the first byte set its empty SETTINGS come before the requests, and the rest
// after them. The connection and every request end by themselves, what is passed on is fit for HTTP/1, and what is said
// to the origin is well-formed frames.
#include <string>
#include <string_view>

#include "base/task_group.h"
#include "http/http2_client.h"
#include "tests/fuzz/invariant.h"
#include "tests/unit/http/wire_stream.h"

using headgate::kNoDeadline;
using headgate::Loop;
using headgate::Task;
using headgate::fuzz::demand;
namespace http = headgate::http;

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kUpload = 100'000;  // more than an origin's first window

/// What is asked, by the input's second byte.
struct Plan {
  explicit Plan(unsigned byte)
      : requests(1 + (byte & 3)),
        method((byte & 4) != 0   ? http::Method::kHead
               : (byte & 8) != 0 ? http::Method::kPost
                                 : http::Method::kGet),
        leaves_early((byte & 16) != 0),
        leaves_body((byte & 32) != 0),
        trailers((byte & 64) != 0) {}
  std::size_t requests;
  http::Method method;
  bool leaves_early;  ///< the first request is let go as soon as it has been sent
  bool leaves_body;   ///< and the second one after its head
  bool trailers;      ///< POST ends with some
};

class Origin final : public http::Http2Client::Owner {
 public:
  explicit Origin(Loop& loop) : loop_(loop) {}
  void stream_ended(http::Http2Client&) override { ++streams_ended; }

  Task<> run(http::Http2Client& client) {
    co_await client.run();
    demand(client.closed(), "an end is one");
    ended = true;
    loop_.stop();
  }

  std::size_t streams_ended = 0;
  bool ended = false;

 private:
  Loop& loop_;
};

void check_fields(const http::Fields& fields) {
  for (const auto& field : fields) {
    demand(http::is_token(field.name), "a field's name is a token");
    demand(http::is_field_value(field.value), "a field's value holds no control character");
    demand(http::trim(field.value) == field.value, "a field's value has no blanks around it");
    for (const char c : field.name) demand(c < 'A' || c > 'Z', "a field's name is in lower case");
    switch (field.id) {
      case http::FieldId::kConnection:
      case http::FieldId::kTransferEncoding:
      case http::FieldId::kUpgrade:
      case http::FieldId::kKeepAlive:
      case http::FieldId::kProxyConnection:
        demand(false, "no field of a connection gets through");
        break;
      default:
        break;
    }
  }
}

Task<> read_answer(http::ClientExchange& exchange, const Plan& plan, bool leaves_body, std::size_t most) {
  http::ResponseHead last;
  for (unsigned heads = 0; last.status < 200 || heads == 0; ++heads) {
    demand(heads <= http::kMaxInterim, "interim heads are limited");
    const auto head = co_await exchange.read_head(kNoDeadline);
    if (!head) co_return;
    last = **head;
    demand(last.status >= 100 && last.status <= 599 && last.status != 101, "a status is one of HTTP/2's");
    demand(last.fields.size() <= http::kMaxOriginFields, "fields are limited");
    check_fields(last.fields);
  }
  if (leaves_body) co_return;
  std::size_t size = 0;
  for (;;) {
    const auto piece = co_await exchange.read_body(kNoDeadline);
    if (!piece) co_return;
    if (piece->empty()) break;
    size += piece->size();
    demand(size <= most, "there is no more content than what was sent");
  }
  demand(exchange.body_finished(), "an empty piece is the end");
  check_fields(exchange.trailers());
  if (last.content_length && plan.method != http::Method::kHead && last.status != 304) {
    demand(size == *last.content_length, "a whole answer is of the length that was declared");
  }
}

Task<> send_request(http::ClientExchange& exchange, const Plan& plan) {
  http::RequestHead head;
  head.method = plan.method;
  head.method_name = plan.method == http::Method::kHead ? "HEAD" : plan.method == http::Method::kPost ? "POST" : "GET";
  head.target = "/";
  head.authority = "a";
  head.fields.add("Mixed-Case", "value");
  if (plan.method == http::Method::kPost) head.body = http::BodyKind::kChunked;
  exchange.start(head);
  if (plan.method != http::Method::kPost) {
    co_await exchange.finish(nullptr);
    co_return;
  }
  const std::string body(kUpload, 'b');
  const auto sent = co_await exchange.write(body, !plan.trailers);
  if (!sent || !plan.trailers) co_return;
  http::Fields trailers;
  trailers.add("x-sum", "1");
  co_await exchange.finish(&trailers);
}

/// Reads while it sends, as the proxy does.
Task<> ask(http::ClientExchangePtr exchange, Plan plan, std::size_t number, std::size_t most, std::size_t& open) {
  Task<> sender = send_request(*exchange, plan);
  sender.start();
  if (number > 0 || !plan.leaves_early) {
    Task<> reader = read_answer(*exchange, plan, number == 1 && plan.leaves_body, most);
    co_await reader;
  }
  if (!sender.done()) exchange->cancel();
  co_await sender;
  const auto fate = exchange->fate({headgate::Errc::kReset, headgate::Side::kUpstream, ""});
  demand(fate != http::ClientExchange::Fate::kUntouched || !exchange->reusable(), "what was answered was looked at");
  exchange.reset();
  --open;
}

/// `later`: what arrives when the requests have been begun; `most`: how much there is in all.
Task<> ask_all(http::Http2Client& client, http::WireStream& stream, std::string_view later, std::size_t most,
               const Plan& plan, headgate::TaskGroup& group, std::size_t& open) {
  const auto ready = co_await client.ready(kNoDeadline);
  if (!ready) co_return;  // the stream may be gone
  for (std::size_t i = 0; i < plan.requests && client.has_place(); ++i) {
    ++open;
    group.spawn(ask(client.begin(), plan, i, most, open));
  }
  if (!client.closed()) {
    stream.send(later);
    stream.finish();
  }
}

/// The preface, and then frames without a gap, none larger than an origin must take.
void check_output(std::string_view output) {
  demand(output.starts_with(kPreface), "the preface comes first");
  output.remove_prefix(kPreface.size());
  while (output.size() >= 9) {
    const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(output[i])); };
    const std::size_t length = byte(0) << 16 | byte(1) << 8 | byte(2);
    demand(length <= 16384, "a frame is not too large");
    demand(byte(3) <= 9, "a frame's type is known");
    demand(output.size() >= 9 + length, "a frame is whole");
    output.remove_prefix(9 + length);
  }
  demand(output.empty(), "nothing follows the last frame");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  static Loop loop;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Plan plan(data[1]);
  std::string output;
  auto stream = std::make_unique<http::WireStream>(loop, headgate::Side::kUpstream);
  auto& wire = *stream;
  wire.heir = &output;
  wire.read_piece = 1 + static_cast<std::size_t>(data[0] & 0x3f) * 7;
  wire.pauses = (data[0] & 0x40) != 0;
  const bool settles = (data[0] & 0x80) != 0;
  if (settles) {
    wire.send(std::string("\0\0\0\4\0\0\0\0\0", 9));
  } else {
    wire.send(bytes);
    wire.finish();
  }
  Origin origin(loop);
  std::size_t open = 0;
  {
    http::Http2Client client(loop, std::move(stream), false, {.idle_timeout = std::chrono::hours(1)}, origin);
    headgate::TaskGroup group(loop);
    group.spawn(origin.run(client));
    group.spawn(ask_all(client, wire, settles ? bytes : std::string_view(), bytes.size(), plan, group, open));
    while (!origin.ended || group.size() > 0) {
      loop.post([&loop_ = loop] { loop_.stop(); });
      loop.run();
    }
  }
  demand(open == 0, "every request ends");
  check_output(output);
  return 0;
}
