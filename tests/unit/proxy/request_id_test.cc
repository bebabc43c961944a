// SPDX-License-Identifier: Apache-2.0
#include "proxy/request_id.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace headgate::proxy {
namespace {

class RequestIdTest : public ::testing::Test {
 protected:
  std::string_view id_for(std::string_view given) {
    http::Fields fields;
    fields.add("X-Request-Id", given);
    return request_id(fields, arena);
  }
  BufferPool pool;
  Arena arena{pool};
};

TEST_F(RequestIdTest, OneOfItsOwnIs32HexadecimalDigits) {
  std::set<std::string_view> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto id = request_id({}, arena);
    EXPECT_EQ(id.size(), 32u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string_view::npos);
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST_F(RequestIdTest, ThreadsDoNotRepeatOneAnother) {
  std::set<std::string> seen;
  std::vector<std::string> ids(8);
  std::vector<std::thread> threads;
  for (auto& id : ids) {
    threads.emplace_back([&id] {
      BufferPool own;
      Arena memory(own);
      id = request_id({}, memory);
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& id : ids) EXPECT_TRUE(seen.insert(id).second);
}

TEST_F(RequestIdTest, AHarmlessOneIsTakenOver) {
  EXPECT_EQ(id_for("trace-1/2"), "trace-1/2");
  EXPECT_EQ(id_for(std::string(128, 'x')), std::string(128, 'x'));
}

TEST_F(RequestIdTest, OthersAreReplaced) {
  for (const std::string& given : {std::string(), std::string(129, 'x'), std::string("a b"), std::string("a\tb"),
                                   std::string("\x7f"), std::string("caf\xc3\xa9"), std::string("a\0b", 3)}) {
    const auto id = id_for(given);
    EXPECT_EQ(id.size(), 32u) << given;
  }
}

}  // namespace
}  // namespace headgate::proxy
