// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/event_lines.h"

#include <gtest/gtest.h>

#include "proxy/cli/admin_client.h"
#include "proxy/cli/admin_target.h"

namespace headgate::cli {
namespace {

constexpr std::string_view kStream =
    ": headgate\n\n"
    "id: a-1\nevent: ejected\n"
    "data: {\"time\":\"T\",\"type\":\"ejected\",\"reason\":\"5 "
    "errors\",\"server\":\"s:1\",\"upstream\":\"api\",\"pool\":\"p\"}\n\n"
    ":\n\n"
    "id: a-2\nevent: reloaded\ndata: {\"time\":\"T\",\"type\":\"reloaded\",\"generation\":\"2\"}\n\n";

TEST(EventLinesTest, OneForEachEventWhateverThePieces) {
  const std::string expected =
      "T ejected upstream=api pool=p server=s:1 reason=\"5 errors\"\n"
      "T reloaded generation=2\n";
  for (const std::size_t size : {1, 2, 7, 1000}) {
    EventLines lines(false);
    std::string text;
    for (std::size_t at = 0; at < kStream.size(); at += size) text += lines.read(kStream.substr(at, size));
    EXPECT_EQ(text, expected) << size;
  }
}

TEST(EventLinesTest, DataAsTheyAre) {
  EventLines lines(true);
  EXPECT_EQ(lines.read("event: x\ndata: {\"a\": 1}\n\n"), "{\"a\": 1}\n");
}

TEST(EventLinesTest, NothingMovesTheCursor) {
  EXPECT_EQ(EventLines(false).read("data: \033[2J\n"), "?[2J\n");
  EXPECT_EQ(EventLines(false).read("data: {\"time\":\"\\u001b\",\"type\":7,\"a\\nb\":\"\\r\"}\n"), "? - a?b=?\n");
}

TEST(EventLinesTest, ALineWithoutEndIsDropped) {
  EventLines lines(false);
  EXPECT_EQ(lines.read("data: " + std::string(2 * EventLines::kLongestLine, 'x')), "");
  EXPECT_EQ(lines.read("\ndata: {}\n"), "- -\n");
}

TEST(ChunkReaderTest, GivesTheContentWhateverThePieces) {
  constexpr std::string_view kBody = "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n";
  for (const std::size_t size : {1, 3, 100}) {
    ChunkReader reader;
    std::string content;
    const auto take = [&](std::string_view piece) { content += piece; };
    for (std::size_t at = 0; at < kBody.size(); at += size) {
      EXPECT_TRUE(reader.read(kBody.substr(at, size), take));
    }
    EXPECT_TRUE(reader.finished());
    EXPECT_EQ(content, "abc0123456789");
  }
}

TEST(ChunkReaderTest, RefusesWhatIsNone) {
  for (const std::string& text :
       {std::string("\r\n"), std::string("x\r\n"), std::string("1\r\nab\r\n"), std::string("1\r\na\r\n\r\n"),
        std::string("ffffffffffffffffffff\r\n"), std::string(300, '1')}) {
    ChunkReader reader;
    EXPECT_FALSE(reader.read(text, [](std::string_view) {})) << text;
  }
}

TEST(PathSegment, EscapesWhatAPathGivesAMeaning) {
  EXPECT_EQ(path_segment("127.0.0.1:80"), "127.0.0.1%3A80");
  EXPECT_EQ(path_segment("unix:/a b?%\xff"), "unix%3A%2Fa%20b%3F%25%FF");
  EXPECT_EQ(path_segment("A-z_0.~"), "A-z_0.~");
}

}  // namespace
}  // namespace headgate::cli
