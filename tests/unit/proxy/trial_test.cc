// SPDX-License-Identifier: Apache-2.0
// What a request that meets a rollout counts for, and who answers it.
#include <future>

#include <gtest/gtest.h>

#include "proxy/handlers/trial_count.h"
#include "tests/unit/proxy/edge.h"

namespace headgate::proxy {
namespace {

using observe::Outcome;

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr const char* kBroken = "HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n";

/// Everything goes to green, on trial against blue; the test answers for both.
class TrialTest : public ::testing::Test {
 protected:
  void begin(bool shield = true) {
    edge.traffic().adopt(read_config(yaml));
    edge.traffic().begin_rollout("api", {"green", 100, {{"blue", 1}, {"green", 0}}, cells, shield}, true);
    told();
  }
  /// When it returns the worker has heard of all changes.
  void told() {
    std::promise<void> done;
    edge.worker().post([&] { done.set_value(); });
    done.get_future().get();
  }
  static std::string request(const std::string& method, const std::string& body = "") {
    return method + " / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  std::uint64_t count(Outcome outcome) const {
    return cells->scores().new_pool.classes.at(0).outcomes.at(static_cast<std::size_t>(outcome));
  }

  Origin blue, green;
  const std::string yaml = "upstreams:\n  api:\n    retry: { attempts: 0 }\n    pools:\n      blue: { servers: [\"" +
                           blue.address() + "\"] }\n      green: { servers: [\"" + green.address() +
                           "\"] }\nsites: [{ routes: [{ path: /*, proxy: api, max_body: 100KiB }] }]\n";
  Edge edge{yaml};
  const std::shared_ptr<traffic::RolloutCells> cells = std::make_shared<traffic::RolloutCells>(1, 1);
};

TEST_F(TrialTest, AnAnswerCountsForTheNewPool) {
  begin();
  Peer client = edge.client();
  client.send(request("GET"));
  Peer origin = green.accept();
  origin.read();
  origin.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  edge.stop();
  EXPECT_EQ(count(Outcome::kAnswered), 1u);
  const auto scores = cells->scores();
  EXPECT_EQ(scores.new_pool.started, 1u);
  EXPECT_EQ(scores.old_pool.started, 0u);
  EXPECT_GT(observe::quantile(scores.new_pool.classes[0].latencies, 0.99).count(), 0);
}

TEST_F(TrialTest, WhatIsSafeIsAnsweredByTheOldPool) {
  begin();
  Peer client = edge.client();
  client.send(request("GET", "with a body"));
  Peer failing = green.accept();
  failing.read();
  failing.send(kBroken);
  Peer origin = blue.accept();
  EXPECT_EQ(origin.read().body, "with a body");
  origin.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  const auto lines = edge.stop();
  EXPECT_EQ(count(Outcome::k500), 1u);
  const auto scores = cells->scores();
  EXPECT_EQ(scores.shielded, 1u);
  EXPECT_EQ(scores.failed, 0u);
  EXPECT_EQ(scores.old_pool.requests(), 0u) << "the second answer is not one of the pools to compare";
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["pool"], "blue");
  EXPECT_EQ(lines[0]["shielded"], true);
  EXPECT_EQ(lines[0]["attempts"], 2);
  EXPECT_EQ(lines[0]["error"], "");
}

TEST_F(TrialTest, WhenBothFailTheClientIsTold) {
  begin();
  Peer client = edge.client();
  client.send(request("GET"));
  Peer failing = green.accept();
  failing.read();
  failing.reset();
  Peer origin = blue.accept();
  origin.read();
  origin.send(kBroken);
  EXPECT_EQ(client.read().status(), 500);
  const auto lines = edge.stop();
  EXPECT_EQ(count(Outcome::kReset), 1u);
  EXPECT_EQ(cells->scores().shielded, 0u);
  EXPECT_EQ(cells->scores().failed, 1u);
  EXPECT_FALSE(lines[0].contains("shielded"));
}

TEST_F(TrialTest, WhatIsNotSafeIsNotSentAgain) {
  begin();
  Peer client = edge.client();
  client.send(request("POST", "x"));
  Peer failing = green.accept();
  failing.read();
  failing.send(kBroken);
  EXPECT_EQ(client.read().status(), 500);
  edge.stop();
  EXPECT_EQ(cells->scores().failed, 1u);
  EXPECT_FALSE(blue.asked());
}

TEST_F(TrialTest, ABodyThatIsNotAtHandIsNotSentAgain) {
  begin();
  Peer client = edge.client();
  client.send(request("GET", std::string(80 * 1024, 'x')));
  Peer failing = green.accept();
  failing.read();
  failing.send(kBroken);
  EXPECT_EQ(client.read().status(), 500);
  edge.stop();
  EXPECT_FALSE(blue.asked());
}

TEST_F(TrialTest, AnAnswerThatHasBegunIsBrokenOff) {
  begin();
  Peer client = edge.client();
  client.send(request("GET"));
  Peer failing = green.accept();
  failing.read();
  failing.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
  EXPECT_EQ(client.read_until("half").substr(0, 12), "HTTP/1.1 200");
  failing.reset();
  client.read_until("more than comes");
  edge.stop();
  EXPECT_EQ(count(Outcome::kReset), 1u);
  EXPECT_EQ(cells->scores().failed, 1u);
  EXPECT_FALSE(blue.asked());
}

TEST_F(TrialTest, WhoCannotBeReachedIsPassedOver) {
  green.stop_listening();
  begin();
  Peer client = edge.client();
  client.send(request("GET"));
  Peer origin = blue.accept();
  origin.read();
  origin.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  EXPECT_EQ(edge.ask(request("POST")).status(), 502);
  edge.stop();
  EXPECT_EQ(count(Outcome::kConnectError), 2u);
  EXPECT_EQ(cells->scores().connect_failures_in_a_row, 2u);
  EXPECT_EQ(cells->scores().failed, 1u);
}

TEST_F(TrialTest, AClientThatLeavesIsNobodysFailure) {
  begin();
  Peer client = edge.client();
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
  Peer origin = green.accept();
  origin.read_until("half");
  client.close();
  EXPECT_TRUE(origin.ended());
  edge.stop();
  const auto scores = cells->scores();
  EXPECT_EQ(scores.new_pool.started, 1u);
  EXPECT_EQ(scores.new_pool.requests(), 0u);
  EXPECT_EQ(scores.failed, 0u);
}

TEST_F(TrialTest, ATunnelIsAnAnswerFromItsBeginning) {
  begin();
  Peer client = edge.client();
  client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  Peer origin = green.accept();
  origin.read();
  origin.send("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello");
  client.read_until("hello");
  EXPECT_EQ(count(Outcome::kAnswered), 1u) << "while it is open";
  client.close();
  edge.stop();
  EXPECT_EQ(cells->scores().new_pool.requests(), 1u);
}

TEST_F(TrialTest, WithoutAShieldTheFailureIsTheClients) {
  begin(false);
  Peer client = edge.client();
  client.send(request("GET"));
  Peer failing = green.accept();
  failing.read();
  failing.send(kBroken);
  EXPECT_EQ(client.read().status(), 500);
  edge.stop();
  EXPECT_EQ(cells->scores().failed, 1u);
}

TEST_F(TrialTest, ARequestStaysInItsRolloutToItsEnd) {
  begin();
  Peer client = edge.client();
  client.send(request("GET"));
  Peer failing = green.accept();
  failing.read();
  edge.traffic().end_rollout("api", false);
  told();
  failing.send(kBroken);
  Peer origin = blue.accept();
  origin.read();
  origin.send(kOk);
  EXPECT_EQ(client.read().status(), 200);
  Peer later = edge.client();
  later.send(request("GET"));
  origin.read();
  origin.send(kOk);
  EXPECT_EQ(later.read().status(), 200) << "the next one goes to blue";
  edge.stop();
  EXPECT_EQ(cells->scores().shielded, 1u);
  EXPECT_EQ(cells->scores().new_pool.started, 1u);
}

}  // namespace
}  // namespace headgate::proxy
