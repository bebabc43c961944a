// SPDX-License-Identifier: Apache-2.0
// How a connection ends: as a tunnel, by a failure at any operation, over real sockets with a client that does not
// read.
#include <sys/socket.h>

#include "base/socket.h"
#include "http/http1_session.h"
#include "session_fixture.h"

namespace headgate::http {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// --- upgrades -----------------------------------------------------------------------------------------------------

Task<> echo_bytes(Exchange& exchange, Loop& loop) {
  BodyRead body;
  if (exchange.has_body()) co_await read_all(exchange, body);
  ResponseHead head;
  head.status = 101;
  head.fields.add("Upgrade", "echo");
  const auto tunnel = co_await exchange.upgrade(head);
  if (!tunnel) co_return;
  std::string text(tunnel->early.data(), tunnel->early.size());
  for (char block[64];;) {
    const std::span<char> into(block);
    std::string out = "<" + text + ">";
    iovec pieces[] = {{out.data(), out.size()}};
    const std::span<iovec> all(pieces);
    const auto put = co_await write_all(*tunnel->stream, all, loop, std::chrono::seconds(5), Side::kDownstream);
    if (!put) co_return;
    const auto got = co_await read_some(*tunnel->stream, into, kNoDeadline, Side::kDownstream);
    if (!got || *got == 0) co_return;
    text.assign(block, *got);
  }
}

constexpr std::string_view kSwitched =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n";

class UpgradeTest : public OpenTest {
 protected:
  UpgradeTest() {
    handler.answer = [this](Exchange& exchange) {
      upgrade = exchange.request.upgrade;
      return echo_bytes(exchange, loop);
    };
  }
  std::string upgrade;
};

TEST_F(UpgradeTest, BytesGoThroughAsTheyAre) {
  auto& connection = open(get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n"));
  EXPECT_EQ(upgrade, "echo");
  EXPECT_EQ(connection.stream.output(), std::string(kSwitched) + "<>");
  send("\r\nabc");
  EXPECT_EQ(connection.stream.output(), std::string(kSwitched) + "<><\r\nabc>");
  connection.stream.finish();
  connection.settle();
  EXPECT_TRUE(connection.ended());
  EXPECT_TRUE(connection.orderly());
  EXPECT_THAT(handler.seen, ElementsAre("GET /"));
}

TEST_F(UpgradeTest, WhatWasSentAheadIsGivenOver) {
  auto& connection = open(get("/", "Connection: Upgrade\r\nUpgrade: echo\r\n") + "early");
  EXPECT_EQ(connection.stream.output(), std::string(kSwitched) + "<early>");
}

TEST_F(UpgradeTest, WhatFollowsABodyIsGivenOver) {
  constexpr std::string_view kFields = "Connection: Upgrade\r\nUpgrade: echo\r\n";
  EXPECT_EQ(open(post("/", "body", kFields) + "early").stream.output(), std::string(kSwitched) + "<early>");
  EXPECT_EQ(open(post_chunked("/", "4\r\nbody\r\n0\r\n\r\nearly", kFields)).stream.output(),
            std::string(kSwitched) + "<early>");
  // The rest of the body arrives in a read of its own.
  auto& connection = open(post_chunked("/", "4\r\nbo", kFields));
  send("dy\r\n0\r\n\r\nearly");
  EXPECT_EQ(connection.stream.output(), std::string(kSwitched) + "<early>");
}

// --- failures -----------------------------------------------------------------------------------------------------

TEST_F(OpenTest, AConnectionMayBreakAtEveryOperation) {
  const std::string input =
      get("/1") + post("/2", std::string(100, 'x')) + post_chunked("/3", "3\r\nabc\r\n0\r\n\r\n") + get("/4");
  const Way way{"in pieces", 20, 30, true};
  const auto whole = serve(input, way);
  ASSERT_TRUE(whole.orderly);
  ASSERT_GT(whole.operations, 20U);
  for (std::size_t at = 0; at < whole.operations; ++at) {
    const auto served = serve(input, way, at);
    EXPECT_TRUE(whole.output.starts_with(served.output)) << "failed at " << at << ": " << served;
    // A connection whose last answer was cut must not end as if all were well.
    AnswerReader reader(served.output);
    Answer answer;
    bool whole_answers = true;
    while (reader.next(false, answer)) whole_answers = whole_answers && answer.complete;
    whole_answers = whole_answers && reader.error().empty();
    EXPECT_TRUE(whole_answers || !served.orderly) << "failed at " << at << ": " << served;
  }
}

TEST_F(OpenTest, AConnectionMayBreakAfterEveryByte) {
  const std::string input = get("/1") + post("/2", "two") + post_chunked("/3", "3\r\nabc\r\n0\r\n\r\n") + get("/4");
  const auto whole = serve(input, kWays[0]);
  for (std::size_t size = 0; size < input.size(); ++size) {
    const auto served = serve(std::string_view(input).substr(0, size), kWays[0]);
    EXPECT_TRUE(served.orderly) << size;
    EXPECT_LE(served.seen.size(), whole.seen.size());
    EXPECT_THAT(served.refusals, IsEmpty()) << size;
  }
}

// --- over sockets -------------------------------------------------------------------------------------------------

class SocketTest : public SessionTest {
 protected:
  SocketTest() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    server = std::make_unique<Socket>(loop, UniqueFd(fds[0]), Side::kDownstream);
    client = std::make_unique<Socket>(loop, UniqueFd(fds[1]), Side::kUpstream);
  }

  static Task<> serve_socket(SocketTest& test) {
    {
      Http1Session session(test.loop, *test.server, test.info, test.handler);
      test.orderly = co_await session.run();
    }
    test.server.reset();
    if (++test.ended == 2) test.loop.stop();
  }
  /// Sends all and reads to the end; `before_reading` is waited for first.
  static Task<> ask(SocketTest& test, std::string input, Event* before_reading) {
    iovec pieces[] = {{input.data(), input.size()}};
    const std::span<iovec> all(pieces);
    co_await write_all(*test.client, all, test.loop, std::chrono::seconds(20), Side::kUpstream);
    if (before_reading != nullptr) co_await before_reading->wait(kNoDeadline);
    Buffer block = test.loop.buffers().take(BufferPool::kLarge);
    const std::span<char> into(block.data(), block.size());
    for (;;) {
      const auto got = co_await read_some(*test.client, into, kNoDeadline, Side::kUpstream);
      if (!got) test.client_error = got.error().reason;
      if (!got || *got == 0) break;
      test.received += *got;
      if (test.output.size() < 4096) test.output.append(block.data(), *got);
    }
    test.client.reset();
    if (++test.ended == 2) test.loop.stop();
  }
  void converse(std::string input, Event* before_reading = nullptr) {
    TaskGroup group(loop);
    group.spawn(serve_socket(*this));
    group.spawn(ask(*this, std::move(input), before_reading));
    while (ended < 2) loop.run();
  }

  ConnectionInfo info;
  std::unique_ptr<Socket> server;
  std::unique_ptr<Socket> client;
  bool orderly = false;
  int ended = 0;
  std::size_t received = 0;
  std::string output;
  std::string client_error;
};

/// Writes 16 MiB in pieces and says so when it has to wait.
Task<> pour(Exchange& exchange, std::size_t& written, Event& started) {
  const ResponseHead head = head_of(200);
  exchange.start(head);
  const std::string block(64 * 1024, 'x');
  const std::span<const char> data(block);
  for (int i = 0; i < 256; ++i) {
    if (i == 1) started.set();
    const auto put = co_await exchange.write(data, false);
    if (!put) co_return;
    written += data.size();
  }
  co_await exchange.finish();
}

Task<> look(Loop& loop, Event& started, const std::size_t& written, std::size_t& seen, Event& go) {
  co_await started.wait(kNoDeadline);
  // Long enough for a writer that is not held back to write it all.
  for (int turn = 0; turn < 1000; ++turn) co_await loop.yield();
  seen = written;
  go.set();
}

TEST_F(SocketTest, AClientThatDoesNotReadHoldsTheWriterBack) {
  Event started(loop);
  Event go(loop);
  std::size_t written = 0;
  std::size_t seen = 0;
  handler.answer = [&](Exchange& exchange) { return pour(exchange, written, started); };
  TaskGroup group(loop);
  group.spawn(look(loop, started, written, seen, go));
  converse(get("/", "Connection: close\r\n"), &go);
  EXPECT_LT(seen, 4U * 1024 * 1024) << "more than a socket's buffers hold was taken";
  EXPECT_GT(received, 16U * 1024 * 1024);
  EXPECT_TRUE(orderly);
  EXPECT_EQ(client_error, "");
}

TEST_F(SocketTest, AConversationEndsWithoutAReset) {
  handler.limits.keepalive_requests = 2;
  converse(get("/1") + get("/2") + get("/3"));
  EXPECT_THAT(bodies(output), ElementsAre("200 GET /1 ", "200 GET /2 "));
  EXPECT_EQ(client_error, "");
}

TEST_F(SocketTest, AnUploadThatNobodyWantsDoesNotCostItsAnswer) {
  handler.answer = [](Exchange& exchange) { return respond_text(exchange, 403, "no"); };
  converse(post("/", std::string(3'000'000, 'x')));
  EXPECT_THAT(bodies(output), ElementsAre("403 no"));
  EXPECT_EQ(client_error, "");
}

}  // namespace
}  // namespace headgate::http
