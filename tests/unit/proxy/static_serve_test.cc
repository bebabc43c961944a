// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/handlers/static_files.h"
#include "tests/unit/proxy/fake_exchange.h"
#include "tests/unit/proxy/file_tree.h"

namespace headgate::proxy {
namespace {

using Pairs = std::vector<std::pair<std::string_view, std::string_view>>;

class StaticServeTest : public testing::Test {
 protected:
  StaticServeTest() { settings.root = tree.path("root"); }

  /// One request from head to end; nothing here has to wait.
  FakeExchange& ask(std::string_view path, const Pairs& headers = {}, http::Method method = http::Method::kGet,
                    std::optional<unsigned> fail_from = {}, Error failure = {}) {
    exchange = std::make_unique<FakeExchange>(loop, connection);
    exchange->fail_from = fail_from;
    exchange->failure = failure;
    auto& head = exchange->request;
    head.method = method;
    head.path = path;
    head.target = path;
    for (const auto& [name, value] : headers) head.fields.add(name, value);
    Request request(*exchange, nullptr);
    request.path = path;
    const StaticFiles files(settings);
    auto task = files.serve(request, cache);
    task.start();
    EXPECT_TRUE(task.done());
    error = request.error == nullptr ? "" : request.error;
    return *exchange;
  }

  FileTree tree;
  config::Static settings;
  Loop loop;
  http::ConnectionInfo connection;
  FileCache cache;
  std::unique_ptr<FakeExchange> exchange;
  std::string error;
};

TEST_F(StaticServeTest, ASmallFileIsOneSend) {
  tree.write("root/a.txt", "hello");
  tree.modified("root/a.txt", 784'111'777);
  settings.cache_control = {{"*.txt", "max-age=60"}};
  const auto& answer = ask("/a.txt");
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.content_length, 5u);
  EXPECT_EQ(answer.sends, 1u);
  EXPECT_TRUE(answer.finished);
  EXPECT_EQ(answer.field("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(answer.field("Last-Modified"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(answer.field("Accept-Ranges"), "bytes");
  EXPECT_EQ(answer.field("Cache-Control"), "max-age=60");
  EXPECT_THAT(answer.field("ETag"), testing::MatchesRegex("\"[0-9a-f]+-5\""));
  EXPECT_EQ(answer.field("Vary"), "<none>");
  EXPECT_EQ(answer.field("Content-Encoding"), "<none>");
  EXPECT_EQ(error, "");
}

TEST_F(StaticServeTest, AnEmptyFile) {
  tree.write("root/empty.css", "");
  const auto& answer = ask("/empty.css");
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.content_length, 0u);
  EXPECT_TRUE(answer.finished);
}

TEST_F(StaticServeTest, HeadHasTheFieldsAndNoBody) {
  tree.write("root/a.txt", "hello");
  tree.write("root/large.bin", std::string(kSmallFile + 1, 'x'));
  const auto& small = ask("/a.txt", {}, http::Method::kHead);
  EXPECT_EQ(small.status(), 200);
  EXPECT_EQ(small.content_length, 5u);
  EXPECT_EQ(small.body, "");
  const auto& large = ask("/large.bin", {}, http::Method::kHead);
  EXPECT_EQ(large.content_length, kSmallFile + 1);
  EXPECT_EQ(large.body, "");
  EXPECT_TRUE(large.finished);
}

TEST_F(StaticServeTest, ALargeFileFromItsDescriptor) {
  std::string content;
  for (int i = 0; content.size() <= kSmallFile; ++i) content += std::to_string(i) + "\n";
  tree.write("root/large.txt", content);
  const auto& answer = ask("/large.txt");
  EXPECT_EQ(answer.content_length, content.size());
  EXPECT_EQ(answer.body, content);
  EXPECT_TRUE(answer.finished);
  const auto& part = ask("/large.txt", {{"Range", "bytes=1000-1999"}});
  EXPECT_EQ(part.status(), 206);
  EXPECT_EQ(part.body, content.substr(1000, 1000));
  EXPECT_EQ(part.content_length, 1000u);
}

TEST_F(StaticServeTest, CompressedSibling) {
  tree.write("root/app.js", "plain");
  tree.write("root/app.js.br", "brotli");
  const auto& answer = ask("/app.js", {{"Accept-Encoding", "br"}});
  EXPECT_EQ(answer.body, "brotli");
  EXPECT_EQ(answer.field("Content-Encoding"), "br");
  EXPECT_EQ(answer.field("Content-Type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(answer.field("Vary"), "Accept-Encoding");
  const auto& plain = ask("/app.js");
  EXPECT_EQ(plain.field("Content-Encoding"), "<none>");
  EXPECT_EQ(plain.field("Vary"), "Accept-Encoding");
}

TEST_F(StaticServeTest, NotModified) {
  tree.write("root/app.js", "plain");
  tree.write("root/app.js.gz", "gzip!!");
  settings.cache_control = {{"*", "no-cache"}};
  const auto etag = ask("/app.js", {{"Accept-Encoding", "gzip"}}).field("ETag");
  const auto& answer = ask("/app.js", {{"Accept-Encoding", "gzip"}, {"If-None-Match", etag}});
  EXPECT_EQ(answer.status(), 304);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.field("ETag"), etag);
  EXPECT_EQ(answer.field("Vary"), "Accept-Encoding");
  EXPECT_EQ(answer.field("Cache-Control"), "no-cache");
  EXPECT_EQ(answer.field("Content-Type"), "<none>");
  EXPECT_EQ(answer.field("Content-Encoding"), "<none>");
  EXPECT_EQ(answer.content_length, 6u) << "a length in a 304 is that of the 200";
  EXPECT_EQ(error, "");
}

TEST_F(StaticServeTest, SingleRange) {
  tree.write("root/a.txt", "0123456789");
  const auto& answer = ask("/a.txt", {{"Range", "bytes=-3"}});
  EXPECT_EQ(answer.status(), 206);
  EXPECT_EQ(answer.body, "789");
  EXPECT_EQ(answer.content_length, 3u);
  EXPECT_EQ(answer.field("Content-Range"), "bytes 7-9/10");
  EXPECT_EQ(answer.field("Content-Type"), "text/plain; charset=utf-8");
}

/// Takes a multipart answer apart and gives "RANGE=BODY" for each part.
std::vector<std::string> parts_of(const FakeExchange& answer) {
  const std::string type = answer.field("Content-Type");
  constexpr std::string_view kPrefix = "multipart/byteranges; boundary=";
  EXPECT_TRUE(type.starts_with(kPrefix)) << type;
  const std::string delimiter = "\r\n--" + type.substr(kPrefix.size());
  std::vector<std::string> parts;
  std::string_view rest = answer.body;
  EXPECT_TRUE(rest.ends_with(delimiter + "--\r\n"));
  EXPECT_TRUE(rest.starts_with(delimiter));
  rest.remove_prefix(delimiter.size());
  while (!rest.starts_with("--")) {
    const auto end = rest.find(delimiter);
    const auto part = rest.substr(0, end);
    const auto head_end = part.find("\r\n\r\n");
    constexpr std::string_view kRange = "\r\nContent-Range: bytes ";
    const auto range = part.find(kRange);
    EXPECT_NE(part.find("\r\nContent-Type: text/plain; charset=utf-8\r\n"), std::string_view::npos);
    if (end == std::string_view::npos || head_end == std::string_view::npos || range == std::string_view::npos) break;
    parts.push_back(std::string(part.substr(range + kRange.size(), head_end - range - kRange.size())) + "=" +
                    std::string(part.substr(head_end + 4)));
    rest.remove_prefix(end + delimiter.size());
  }
  return parts;
}

TEST_F(StaticServeTest, SeveralRanges) {
  tree.write("root/a.txt", "0123456789");
  const auto& answer = ask("/a.txt", {{"Range", "bytes=0-1, 4-4, -2"}});
  EXPECT_EQ(answer.status(), 206);
  EXPECT_THAT(parts_of(answer), testing::ElementsAre("0-1/10=01", "4-4/10=4", "8-9/10=89"));
  EXPECT_EQ(answer.content_length, answer.body.size());
  EXPECT_EQ(answer.field("Content-Range"), "<none>");
  EXPECT_TRUE(answer.finished);
}

TEST_F(StaticServeTest, SeveralRangesOfALargeFile) {
  std::string content(kSmallFile + 10, 'x');
  content.replace(content.size() - 3, 3, "end");
  tree.write("root/large.txt", content);
  const auto& answer = ask("/large.txt", {{"Range", "bytes=0-0,-3"}});
  const auto size = std::to_string(content.size());
  EXPECT_THAT(parts_of(answer),
              testing::ElementsAre("0-0/" + size + "=x", std::to_string(content.size() - 3) + "-" +
                                                             std::to_string(content.size() - 1) + "/" + size + "=end"));
  EXPECT_EQ(answer.content_length, answer.body.size());
}

TEST_F(StaticServeTest, UnsatisfiableRange) {
  tree.write("root/a.txt", "0123456789");
  const auto& answer = ask("/a.txt", {{"Range", "bytes=10-"}});
  EXPECT_EQ(answer.status(), 416);
  EXPECT_EQ(answer.field("Content-Range"), "bytes */10");
  EXPECT_EQ(answer.field("Cache-Control"), "no-store");
  EXPECT_EQ(error, "range_not_satisfiable");
}

TEST_F(StaticServeTest, Refusals) {
  tree.write("root/a.txt", "x");
  const auto& post = ask("/a.txt", {}, http::Method::kPost);
  EXPECT_EQ(post.status(), 405);
  EXPECT_EQ(post.field("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(post.field("Cache-Control"), "no-store");
  EXPECT_EQ(error, "method_not_allowed");
  const auto& missing = ask("/none.js");
  EXPECT_EQ(missing.status(), 404);
  EXPECT_EQ(missing.field("Cache-Control"), "no-store");
  EXPECT_EQ(error, "not_found");
  const auto& failed = ask("/a.txt", {{"If-Match", "\"x\""}});
  EXPECT_EQ(failed.status(), 412);
  EXPECT_EQ(error, "precondition_failed");
}

TEST_F(StaticServeTest, OptionsAndRedirect) {
  tree.write("root/docs/index.html", "docs");
  const auto& options = ask("/docs/", {}, http::Method::kOptions);
  EXPECT_EQ(options.status(), 204);
  EXPECT_EQ(options.field("Allow"), "GET, HEAD, OPTIONS");
  const auto& redirect = ask("/docs");
  EXPECT_EQ(redirect.status(), 301);
  EXPECT_EQ(redirect.field("Location"), "/docs/");
  EXPECT_EQ(redirect.content_length, 0u);
}

TEST_F(StaticServeTest, ListingOverHeadHasItsLength) {
  settings.autoindex = true;
  tree.write("root/files/a", "x");
  const auto length = ask("/files/").body.size();
  const auto& answer = ask("/files/", {}, http::Method::kHead);
  EXPECT_EQ(answer.content_length, length);
  EXPECT_EQ(answer.body, "");
  EXPECT_EQ(answer.field("Content-Type"), "text/html; charset=utf-8");
}

TEST_F(StaticServeTest, AFileThatShrinksWhileItIsSentIsBrokenOff) {
  tree.write("root/large.txt", std::string(kSmallFile + 1, 'x'));
  ask("/large.txt");
  std::filesystem::resize_file(tree.path("root/large.txt"), 10);
  const auto& answer = ask("/large.txt");  // the cache does not know yet
  EXPECT_TRUE(answer.aborted);
  EXPECT_FALSE(answer.finished);
  EXPECT_EQ(error, "file_read_failed");
}

TEST_F(StaticServeTest, AClientThatWentAwayIsNoFailureOfOurs) {
  const Error reset{Errc::kReset, Side::kDownstream, "client_reset", 0};
  tree.write("root/a.txt", "0123456789");
  tree.write("root/large.txt", std::string(kSmallFile + 1, 'x'));
  for (const std::string_view path : {"/a.txt", "/large.txt"}) {
    for (unsigned from = 0; from < 2; ++from) {
      const auto& answer = ask(path, {{"Range", "bytes=0-0,5-5"}}, http::Method::kGet, from, reset);
      EXPECT_FALSE(answer.aborted);
      EXPECT_FALSE(answer.finished);
      EXPECT_EQ(error, "");
    }
  }
}

TEST_F(StaticServeTest, TheFileOutlivesItsEntryWhileItIsSent) {
  // The plan holds what it sends: dropping the cache's entry meanwhile must not free it.
  tree.write("root/a.txt", "hello");
  StaticFiles files(settings);
  auto small = std::make_unique<FileCache>();
  const http::Fields fields;
  FakeExchange values(loop, connection);
  const Request request(values, nullptr);
  const StaticQuestion question{http::Method::kGet, "/a.txt", "/a.txt", "", fields, request, loop.now()};
  const auto plan = files.plan(question, *small);
  small.reset();
  EXPECT_EQ(plan.representation->body, "hello");
}

}  // namespace
}  // namespace headgate::proxy
