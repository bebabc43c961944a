// SPDX-License-Identifier: Apache-2.0
// What a successor finds of the process before it. Starting one is for the real program (tests/e2e/test_upgrade.py).
#include "proxy/upgrade.h"

#include <cstdlib>
#include <stdexcept>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/base/run.h"
#include "tests/unit/base/sockets.h"

namespace headgate::proxy {
namespace {

using ::testing::HasSubstr;

config::Listener listener_for(const std::string& text) {
  config::Listener listener;
  listener.address.kind = config::Address::Kind::kIp;
  listener.address.ip = *IpAddress::parse("127.0.0.1");
  listener.address.text = text;
  return listener;
}

/// Open after an exec, as what is handed over.
int left_open(const UniqueFd& fd) {
  const int copy = ::dup(fd.get());
  EXPECT_GE(copy, 0);
  return copy;
}

class PredecessorTest : public ::testing::Test {
 protected:
  ~PredecessorTest() override { ::unsetenv("HEADGATE_HANDOVER"); }

  static Predecessor find(const std::string& text) {
    ::setenv("HEADGATE_HANDOVER", text.c_str(), 1);
    return Predecessor::from_environment();
  }
  static std::string complaint(const std::string& text) {
    try {
      find(text);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    return "none";
  }
};

TEST_F(PredecessorTest, ThereIsNoneAtAnOrdinaryStart) {
  auto none = Predecessor::from_environment();
  EXPECT_FALSE(none.exists());
  EXPECT_EQ(none.take(listener_for("127.0.0.1:0")), nullptr);
}

TEST_F(PredecessorTest, LeavesSocketsByTheAddressesAsWritten) {
  const auto bound = bind_listener(listener_for("127.0.0.1:0"), 2);
  const auto other = bind_listener(listener_for("127.0.0.1:0"), 1);
  auto [line, its_end] = unix_pair();
  std::string text = "{\"line\": " + std::to_string(left_open(line)) + ", \"listeners\": [";
  for (const auto& each : {bound, other}) {
    text += each == bound ? "" : ", ";
    text += "{\"address\": \"127.0.0.1:0\", \"sockets\": [";
    const auto sockets = each->sockets->open();
    for (const auto& socket : sockets) {
      text += (socket == sockets.front() ? "" : ", ") + std::to_string(::dup(socket->fd()));
    }
    text += "]}";
  }
  auto predecessor = find(text + "]}");
  EXPECT_EQ(std::getenv("HEADGATE_HANDOVER"), nullptr);
  EXPECT_TRUE(predecessor.exists());
  EXPECT_EQ(predecessor.take(listener_for("127.0.0.1:80")), nullptr);
  // Two of one text: in their order.
  const auto taken = predecessor.take({listener_for("127.0.0.1:0"), listener_for("127.0.0.2:0")});
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0]->local.to_string(), bound->local.to_string());
  EXPECT_EQ(taken[0]->sockets->size(), 2u);
  for (const auto& socket : taken[0]->sockets->open()) EXPECT_EQ(::fcntl(socket->fd(), F_GETFD), FD_CLOEXEC);

  line.reset();
  predecessor.retire();
  char word = 0;
  EXPECT_EQ(::read(its_end.get(), &word, 1), 1);
  EXPECT_EQ(word, 's');
  its_end.reset();
  Loop loop;
  run(loop, predecessor.quiet(loop));
}

TEST_F(PredecessorTest, WhatIsNotThereIsSaid) {
  auto [line, its_end] = unix_pair();
  const auto number = std::to_string(line.get());
  EXPECT_THAT(complaint("nonsense"), HasSubstr("HEADGATE_HANDOVER"));
  EXPECT_THAT(complaint("{}"), HasSubstr("not what it should be"));
  EXPECT_THAT(complaint(R"({"line": 1, "listeners": []})"), HasSubstr("no socket 1"));
  EXPECT_THAT(complaint(R"({"line": "x", "listeners": []})"), HasSubstr("expected a descriptor"));
  EXPECT_THAT(complaint(R"({"line": 99999, "listeners": []})"), HasSubstr("no socket 99999"));
  for (const auto* const listener :
       {"7", "{}", R"({"address": "a"})", R"({"address": 1, "sockets": [3]})", R"({"address": "a", "sockets": []})"}) {
    EXPECT_THAT(complaint("{\"line\": " + number + ", \"listeners\": [" + listener + "]}"),
                HasSubstr("not what it should be"));
  }
  const auto quiet = left_open(line);
  EXPECT_THAT(complaint("{\"line\": " + number + ", \"listeners\": [{\"address\": \"a\", \"sockets\": [" +
                        std::to_string(quiet) + "]}]}"),
              HasSubstr("does not listen"));
  ::close(quiet);
}

}  // namespace
}  // namespace headgate::proxy
