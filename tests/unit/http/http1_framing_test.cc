// SPDX-License-Identifier: Apache-2.0
// The framing of answers: lengths, chunks, the end of the connection; files.
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "http/http1_session.h"
#include "session_fixture.h"

namespace headgate::http {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// What a handler of the tests does with its exchange, call by call.
struct Script {
  int status = 200;
  std::optional<std::uint64_t> length = std::nullopt;
  std::vector<std::string> writes = {};
  bool last_in_write = false;
  bool trailers = false;
  bool abort = false;
  bool flush_first = false;
  std::vector<std::string> errors = {};  ///< reasons of the calls that failed
  std::uint64_t bytes_out = 0;
};

Task<> perform(Exchange& exchange, Script& script) {
  const ResponseHead head = head_of(script.status, script.length);
  exchange.start(head);
  if (script.flush_first) {
    const auto flushed = co_await exchange.flush();
    if (!flushed) script.errors.push_back(flushed.error().reason);
  }
  for (std::size_t i = 0; i < script.writes.size(); ++i) {
    const std::span<const char> data(script.writes[i]);
    const bool last = script.last_in_write && i + 1 == script.writes.size();
    const auto written = co_await exchange.write(data, last);
    if (!written) script.errors.push_back(written.error().reason);
  }
  Fields trailers;
  trailers.add("X-Sum", "abc");
  trailers.add("Content-Length", "7");
  if (script.abort) {
    exchange.abort();
  } else if (!script.last_in_write) {
    const auto finished = co_await exchange.finish(script.trailers ? &trailers : nullptr);
    if (!finished) script.errors.push_back(finished.error().reason);
  }
  script.bytes_out = exchange.bytes_out();
}

class FramingTest : public SessionTest {
 protected:
  Served serve_script(const std::string& request, Script script) {
    handler.answer = [this](Exchange& exchange) {
      script_.errors.clear();
      return perform(exchange, script_);
    };
    script_ = std::move(script);
    return serve(request);
  }
  Script script_;
};

TEST_F(FramingTest, AKnownLengthIsSaid) {
  for (const bool last : {true, false}) {
    const auto served =
        serve_script(get("/") + get("/"), {.length = 6, .writes = {"ab", "", "cdef"}, .last_in_write = last});
    EXPECT_THAT(bodies(served.output), ElementsAre("200 abcdef", "200 abcdef"));
    EXPECT_THAT(served.output, HasSubstr("Content-Length: 6\r\n"));
    EXPECT_THAT(script_.errors, IsEmpty());
    EXPECT_EQ(script_.bytes_out, 6U);
  }
}

TEST_F(FramingTest, AnUnknownOneIsChunked) {
  for (const bool last : {true, false}) {
    const auto served = serve_script(get("/") + get("/"), {.writes = {"ab", "", "cdef"}, .last_in_write = last});
    EXPECT_THAT(served.output, HasSubstr("\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n"));
    EXPECT_THAT(bodies(served.output), ElementsAre("200 abcdef", "200 abcdef"));
  }
  EXPECT_THAT(bodies(serve_script(get("/"), {.flush_first = true}).output), ElementsAre("200 "));
  EXPECT_THAT(bodies(serve_script(get("/"), {.writes = {""}, .last_in_write = true}).output), ElementsAre("200 "));
}

TEST_F(FramingTest, AnUnknownOneEndsWithTheConnectionInHttp10) {
  const auto served = serve_script("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", {.writes = {"ab", "cd"}});
  EXPECT_EQ(served.output, with_date("HTTP/1.1 200 OK", "Connection: close\r\n\r\nabcd"));
  EXPECT_TRUE(served.orderly);
  EXPECT_FALSE(served.aborted);
}

TEST_F(FramingTest, TrailersGoWhereThereIsRoomForThem) {
  const auto chunked = serve_script(get("/"), {.writes = {"ab"}, .trailers = true});
  const auto all = answers(chunked.output);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_THAT(all[0].trailers, ElementsAre(std::pair<std::string, std::string>("X-Sum", "abc")));
  EXPECT_THAT(bodies(serve_script(get("/") + get("/"), {.trailers = true}).output), ElementsAre("200 ", "200 "));
  EXPECT_THAT(serve_script(get("/"), {.length = 2, .writes = {"ab"}, .trailers = true}).output,
              testing::EndsWith("\r\n\r\nab"));
  EXPECT_THAT(serve_script("GET / HTTP/1.0\r\n\r\n", {.writes = {"ab"}, .trailers = true}).output,
              testing::EndsWith("\r\n\r\nab"));
}

TEST_F(FramingTest, AnswersWithoutContentDropWhatIsWritten) {
  struct {
    const char* request;
    int status;
    std::optional<std::uint64_t> length;
    std::string rest;
  } const cases[] = {
      {"HEAD", 200, 4, "Content-Length: 4\r\n\r\n"},
      {"HEAD", 200, std::nullopt, "\r\n"},
      {"GET", 304, 4, "Content-Length: 4\r\n\r\n"},
      {"GET", 304, std::nullopt, "\r\n"},
      {"GET", 204, 4, "\r\n"},
      {"GET", 204, std::nullopt, "\r\n"},
  };
  for (const auto& c : cases) {
    const std::string request = std::string(c.request) + " / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (const bool trailers : {false, true}) {
      const auto served = serve_script(
          request + request, {.status = c.status, .length = c.length, .writes = {"abcd"}, .trailers = trailers});
      const auto one =
          with_date("HTTP/1.1 " + std::to_string(c.status) + " " + std::string(reason_phrase(c.status)), c.rest);
      EXPECT_EQ(served.output, one + one);
      EXPECT_TRUE(served.orderly);
      EXPECT_EQ(script_.bytes_out, 0U);
    }
  }
}

TEST_F(FramingTest, FewerBytesThanDeclaredBreakItOff) {
  for (const bool last : {true, false}) {
    const auto served = serve_script(get("/") + get("/"), {.length = 5, .writes = {"abcd"}, .last_in_write = last});
    EXPECT_FALSE(served.orderly);
    EXPECT_THAT(served.output, testing::EndsWith("abcd"));
    EXPECT_THAT(served.seen, testing::SizeIs(1));
  }
}

TEST_F(FramingTest, MoreBytesThanDeclaredBreakItOff) {
  const auto served = serve_script(get("/") + get("/"), {.length = 5, .writes = {"abc", "def"}});
  EXPECT_FALSE(served.orderly);
  EXPECT_THAT(served.output, testing::EndsWith("\r\n\r\nabc"));
  EXPECT_THAT(script_.errors, testing::Contains("response_longer_than_declared"));
  EXPECT_THAT(served.seen, testing::SizeIs(1));
}

TEST_F(FramingTest, AnAbortIsSeenInEachFraming) {
  const auto length = serve_script(get("/") + get("/"), {.length = 5, .writes = {"abc"}, .abort = true});
  EXPECT_FALSE(length.orderly);
  EXPECT_FALSE(answers(length.output).at(0).complete);

  const auto chunked = serve_script(get("/") + get("/"), {.writes = {"abc"}, .abort = true});
  EXPECT_FALSE(chunked.orderly);
  EXPECT_FALSE(answers(chunked.output).at(0).complete);

  const auto until_close = serve_script("GET / HTTP/1.0\r\n\r\n", {.writes = {"abc"}, .abort = true});
  EXPECT_FALSE(until_close.orderly);
  EXPECT_TRUE(until_close.aborted) << "only a reset tells the client";
}

TEST_F(FramingTest, AHandlerThatAnswersNothingBreaksItOff) {
  handler.answer = [](Exchange&) -> Task<> { co_return; };
  const auto served = serve(get("/") + get("/"));
  EXPECT_EQ(served.output, "");
  EXPECT_FALSE(served.orderly);
  EXPECT_THAT(served.seen, testing::SizeIs(1));
}

Task<> with_interim(Exchange& exchange) {
  ResponseHead hints;
  hints.status = 103;
  hints.fields.add("Link", "</a>");
  hints.fields.add("Content-Length", "5");
  const auto sent = co_await exchange.send_interim(hints);
  EXPECT_TRUE(sent.has_value());
  co_await respond_text(exchange, 200, "x");
  const auto late = co_await exchange.send_interim(hints);
  EXPECT_TRUE(late.has_value());
}

TEST_F(SessionTest, InterimAnswersComeFirstAndOnlyInHttp11) {
  handler.answer = with_interim;
  const auto served = serve(get("/"));
  EXPECT_THAT(served.output, testing::StartsWith("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(bodies(served.output), ElementsAre("103 ", "200 x"));
  EXPECT_THAT(bodies(serve("GET / HTTP/1.0\r\n\r\n").output), ElementsAre("200 x"));
}

TEST_F(SessionTest, AHeadAndASmallBodyShareOneSend) {
  Connection connection(loop, handler);
  connection.stream.send(get("/"));
  connection.stream.finish();
  connection.run();
  EXPECT_EQ(connection.stream.writes(), 1U);
}

// --- files --------------------------------------------------------------------------------------------------------

class FileTest : public SessionTest {
 protected:
  FileTest() : file(::memfd_create("test", MFD_CLOEXEC)) {
    for (int i = 0; content.size() < 300'000; ++i) content += std::to_string(i) + "\n";
    EXPECT_EQ(::write(file.get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
  }

  static Task<> send_part(Exchange& exchange, FileTest& test) {
    const ResponseHead head = head_of(200, test.length);
    exchange.start(head);
    const std::span<const char> before(test.before);
    co_await exchange.write(before, false);
    const auto sent = co_await exchange.write_file(test.file.get(), test.offset, test.count);
    test.error = sent ? "" : sent.error().reason;
    if (sent) co_await exchange.finish();
    test.bytes_out = exchange.bytes_out();
  }

  /// Both the copying of the transport and our own.
  Served serve_file(const std::string& request, const Way& way, bool sends_files) {
    handler.answer = [this](Exchange& exchange) { return send_part(exchange, *this); };
    handler.seen.clear();
    Connection connection(loop, handler, way);
    connection.stream.sends_files = sends_files;
    connection.stream.send(request);
    connection.stream.finish();
    connection.run();
    return {connection.stream.output(), connection.orderly(), connection.stream.aborted(), handler.seen, {}, 0};
  }

  UniqueFd file;
  std::string content;
  std::optional<std::uint64_t> length;
  std::string before;
  std::uint64_t offset = 0;
  std::uint64_t count = 0;
  std::string error;
  std::uint64_t bytes_out = 0;
};

TEST_F(FileTest, PartsAreSentInEachFraming) {
  before = "<";
  offset = 1000;
  count = 200'000;
  const std::string expected = "<" + content.substr(1000, 200'000);
  for (const std::optional<std::uint64_t> declared :
       {std::optional<std::uint64_t>(200'001), std::optional<std::uint64_t>()}) {
    length = declared;
    for (const bool sends_files : {true, false}) {
      for (const Way& way : {kWays[0], Way{"in pieces", WireStream::kUnlimited, 1111, true}}) {
        const auto served = serve_file(get("/") + get("/"), way, sends_files);
        const auto all = answers(served.output);
        ASSERT_EQ(all.size(), 2U);
        EXPECT_EQ(all[1].body, expected);
        EXPECT_TRUE(all[1].complete && served.orderly);
        EXPECT_EQ(bytes_out, expected.size());
        const auto old = serve_file("GET / HTTP/1.0\r\n\r\n", way, sends_files);
        EXPECT_EQ(answers(old.output).at(0).body, expected);
        const auto head = serve_file("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", way, sends_files);
        EXPECT_EQ(answers(head.output, {"HEAD"}).size(), 1U);
        EXPECT_TRUE(head.orderly);
      }
    }
  }
}

TEST_F(FileTest, AFileThatHasShrunkBreaksTheAnswerOff) {
  offset = content.size() - 10;
  count = 20;
  for (const bool sends_files : {true, false}) {
    length = 20;
    const auto served = serve_file(get("/") + get("/"), kWays[0], sends_files);
    EXPECT_FALSE(served.orderly);
    EXPECT_EQ(error, "file_truncated");
    EXPECT_EQ(bytes_out, 10U);
    EXPECT_FALSE(answers(served.output).at(0).complete);
    length.reset();
    EXPECT_TRUE(serve_file("GET / HTTP/1.0\r\n\r\n", kWays[0], sends_files).aborted);
  }
}

TEST_F(FileTest, MoreThanDeclaredIsNotSent) {
  length = 10;
  count = 11;
  for (const bool sends_files : {true, false}) {
    const auto served = serve_file(get("/") + get("/"), kWays[0], sends_files);
    EXPECT_FALSE(served.orderly);
    EXPECT_EQ(error, "response_longer_than_declared");
    EXPECT_EQ(answers(served.output).at(0).body, "");
  }
}

}  // namespace
}  // namespace headgate::http
