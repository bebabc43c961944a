// SPDX-License-Identifier: Apache-2.0
// Input: a byte that chooses how bytes come and go, then all that a client sends before it closes; with the top bit of
// that byte set the preface and empty SETTINGS come before it. The connection ends by itself, what is said to the
// client is well-formed frames, and memory stays bounded.
#include <string>
#include <string_view>

#include "base/task_group.h"
#include "http/http2_session.h"
#include "tests/fuzz/invariant.h"
#include "tests/unit/http/wire_stream.h"

using headgate::Loop;
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

void check(const http::RequestHead& request) {
  demand(!request.target.empty(), "a request has a target");
  demand(!request.authority.empty(), "a request has an authority");
  for (const auto& field : request.fields) {
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
  demand(request.fields.count(http::FieldId::kHost) == 1, "there is one Host");
  demand(http::iequals(*request.fields.get(http::FieldId::kHost), request.authority), "Host is the authority");
  demand(request.fields.count(http::FieldId::kCookie) <= 1, "cookies are one field");
  demand(request.fields.count(http::FieldId::kContentLength) <= 1, "there is one length at most");
}

class FuzzHandler final : public http::Handler {
 public:
  /// The path's first letter chooses what is done with the request.
  Task<> handle(http::Exchange& exchange) override {
    check(exchange.request);
    demand(exchange.request.fields.size() <= limits.max_headers + 1, "fields are limited");
    const auto path = exchange.request.path;
    const char choice = path.size() > 1 ? path[1] : ' ';
    if (!exchange.request.upgrade.empty() && choice == 't') {
      co_await tunnel(exchange);
      co_return;
    }
    std::string text = "unread";
    if (choice != 'i') {
      text.clear();
      for (;;) {
        const auto piece = co_await exchange.read_body();
        if (!piece || piece->empty()) break;
        text.append(piece->data(), piece->size());
      }
    }
    const std::span<const char> body(text);
    http::ResponseHead head = head_of(choice == '2' ? 204 : 200);
    if (choice == 'c') {
      exchange.start(head);
      const auto sent = co_await exchange.write(body, false);
      if (sent) co_await exchange.finish(&exchange.trailers());
    } else if (choice == 'a') {
      head.content_length = body.size() + 1;
      co_await exchange.respond(head, body);
    } else if (choice != 'n') {
      head.content_length = body.size();
      co_await exchange.respond(head, body);
    }
  }

  Task<> refuse(http::Exchange& exchange, const http::Rejection& rejection) override {
    demand(rejection.status >= 400 && rejection.status < 600, "a refusal is an error");
    const http::ResponseHead head = head_of(rejection.status);
    co_await exchange.respond(head, {});
  }

  const http::SessionLimits& session_limits() const override { return limits; }

  http::SessionLimits limits{.max_header_bytes = 2048, .max_headers = 20};

 private:
  static Task<> tunnel(http::Exchange& exchange) {
    http::ResponseHead head;
    head.status = 101;
    const auto opened = co_await exchange.upgrade(head);
    if (!opened) co_return;
    char block[64];
    for (;;) {
      const auto got =
          co_await headgate::read_some(*opened->stream, block, headgate::kNoDeadline, headgate::Side::kDownstream);
      if (!got || *got == 0) break;
    }
    opened->stream->shutdown_write();
  }
};

Task<> run_session(http::Http2Session& session, Loop& loop, bool& ended) {
  co_await session.run();
  ended = true;
  loop.stop();
}

/// Frames follow one another without a gap, none larger than a client must take.
void check_output(std::string_view output) {
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
  if (size < 1) return 0;
  static Loop loop;
  FuzzHandler handler;
  http::WireStream stream(loop);
  stream.read_piece = 1 + static_cast<std::size_t>(data[0] & 0x3f) * 7;
  stream.pauses = (data[0] & 0x40) != 0;
  if ((data[0] & 0x80) != 0) stream.send(std::string(http::kHttp2Preface) + std::string("\0\0\0\4\0\0\0\0\0", 9));
  stream.send({reinterpret_cast<const char*>(data) + 1, size - 1});
  stream.finish();
  const http::ConnectionInfo info;
  bool ended = false;
  {
    http::Http2Session session(loop, stream, info, handler);
    headgate::TaskGroup group(loop);
    group.spawn(run_session(session, loop, ended));
    while (!ended) loop.run();
  }
  check_output(stream.output());
  return 0;
}
