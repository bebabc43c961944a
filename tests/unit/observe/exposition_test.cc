// SPDX-License-Identifier: Apache-2.0
#include "observe/exposition.h"

#include <map>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "observe/prometheus_text.h"

namespace headgate::observe {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(PrometheusText, EscapesLabelValues) {
  std::string text;
  PrometheusText(text).sample("x", {{"route", "a\\b\"c\nd"}, {"plain", ""}}, std::uint64_t{7});
  EXPECT_EQ(text, "x{route=\"a\\\\b\\\"c\\nd\",plain=\"\"} 7\n");
}

TEST(PrometheusText, WritesHistogramsCumulatively) {
  DurationHistogram durations;
  durations.add(std::chrono::microseconds(200));
  durations.add(std::chrono::milliseconds(2));
  durations.add(std::chrono::minutes(2));
  DurationHistogram::Sum sum;
  durations.add_to(sum);
  std::string text;
  PrometheusText(text).histogram("d", {{"pool", "blue"}}, sum);
  EXPECT_THAT(text, HasSubstr("d_bucket{pool=\"blue\",le=\"0.00025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("d_bucket{pool=\"blue\",le=\"0.0025\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("d_bucket{pool=\"blue\",le=\"60\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("d_bucket{pool=\"blue\",le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("d_sum{pool=\"blue\"} 120.0022\n"));
  EXPECT_THAT(text, HasSubstr("d_count{pool=\"blue\"} 3\n"));
}

std::string whole(Exposition exposition, std::size_t* longest = nullptr) {
  std::string text;
  std::string piece;
  while (exposition.next(piece)) {
    text += piece;
    if (longest != nullptr) *longest = std::max(*longest, piece.size());
  }
  return text;
}

class ExpositionTest : public testing::Test {
 protected:
  ExpositionTest() {
    figures_.version = "1.2.3";
    figures_.generation = 4;
  }
  Metrics metrics_{2};
  ProgramFigures figures_;
};

TEST_F(ExpositionTest, TellsWhatIsDecidedAboutServers) {
  figures_.servers = {{"api", "blue", "127.0.0.1:1", true, 0}, {"api", "blue", "127.0.0.1:2", false, 3}};
  figures_.pools = {{"api", "blue", false}, {"api", "green", true}};
  const std::string text = whole(Exposition(metrics_, figures_));
  const std::string one = "{upstream=\"api\",pool=\"blue\",server=\"127.0.0.1:1\"} ";
  const std::string two = "{upstream=\"api\",pool=\"blue\",server=\"127.0.0.1:2\"} ";
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_healthy" + one + "1\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_healthy" + two + "0\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_ejections_total" + one + "0\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_ejections_total" + two + "3\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_panic{upstream=\"api\",pool=\"blue\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_panic{upstream=\"api\",pool=\"green\"} 1\n"));
}

TEST_F(ExpositionTest, AddsUpTheWorkers) {
  using namespace std::chrono_literals;
  metrics_.routes.cells(0, {"shop.test", "/api/*"}, 1).count(0, 200, 2ms);
  metrics_.routes.cells(1, {"shop.test", "/api/*"}, 1).count(0, 200, 4ms);
  metrics_.routes.cells(1, {"shop.test", "/api/*"}, 1).count(2, 502, 4ms);
  auto& server = metrics_.servers.cells(1, {"api", "blue", "127.0.0.1:1"}, 1);
  server.in_flight.add(2);
  server.tunnels.add(1);
  server.codes.add(502);
  server.reuse_races.add(4);
  metrics_.pools.cells(0, {"api", "blue"}, 1).retries.add(1);
  const std::string text = whole(Exposition(metrics_, figures_));
  const std::string labels = "{site=\"shop.test\",route=\"/api/*\",method=\"GET\"";
  EXPECT_THAT(text, HasSubstr("\nheadgate_requests_total" + labels + ",code=\"200\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("method=\"POST\",code=\"502\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_request_duration_seconds_sum" + labels + "} 0.006\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_request_duration_seconds_count" + labels + "} 2\n"));
  const std::string asked = "upstream=\"api\",pool=\"blue\",server=\"127.0.0.1:1\"";
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_requests_total{" + asked + ",code=\"502\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_in_flight{" + asked + "} 3\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_reuse_races_total{" + asked + "} 4\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_upstream_retries_total{upstream=\"api\",pool=\"blue\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_config_generation 4\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_build_info{version=\"1.2.3\"} 1\n"));
}

TEST_F(ExpositionTest, TellsConnectionsByStateAndHandshakes) {
  auto& cells = metrics_.listeners.cells(0, {":443"}, 1);
  cells.open.add(5);
  cells.shaking_hands.add(1);
  cells.active.add(2);
  cells.count_handshake("TLSv1.3", true);
  const std::string text = whole(Exposition(metrics_, figures_));
  EXPECT_THAT(text, HasSubstr("headgate_connections{listener=\":443\",state=\"handshake\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("headgate_connections{listener=\":443\",state=\"active\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("headgate_connections{listener=\":443\",state=\"idle\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("headgate_tls_handshakes_total{version=\"TLSv1.3\",resumed=\"true\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("headgate_tls_handshakes_total{version=\"TLSv1.2\",resumed=\"false\"} 0\n"));
}

TEST_F(ExpositionTest, TellsEveryReasonForWhichHttp2ClientsAreHeldOff) {
  metrics_.listeners.cells(0, {":443"}, 1).count_http2_held_off("h2_control_flood");
  metrics_.listeners.cells(1, {":443"}, 1).count_http2_held_off("h2_control_flood");
  const std::string text = whole(Exposition(metrics_, figures_));
  const std::string name = "\nheadgate_http2_protections_total{listener=\":443\",reason=";
  EXPECT_THAT(text, HasSubstr(name + "\"h2_control_flood\"} 2\n"));
  EXPECT_THAT(text, HasSubstr(name + "\"h2_too_many_resets\"} 0\n"));
  EXPECT_THAT(text, HasSubstr(name + "\"protocol_error\"} 0\n"));
}

TEST_F(ExpositionTest, LeavesOutWhatTheSystemDidNotTell) {
  EXPECT_THAT(whole(Exposition(metrics_, figures_)), Not(HasSubstr("process_open_fds")));
  figures_.open_descriptors = 12;
  EXPECT_THAT(whole(Exposition(metrics_, figures_)), HasSubstr("\nprocess_open_fds 12\n"));
}

TEST_F(ExpositionTest, TellsCopiesAndStoredBodies) {
  EXPECT_THAT(whole(Exposition(metrics_, figures_)), Not(HasSubstr("headgate_mirrored_requests_total")));
  metrics_.mirrors.cells(0, {"shadow"}, 1).sent.add(2);
  metrics_.mirrors.cells(1, {"shadow"}, 1).sent.add(3);
  metrics_.mirrors.cells(1, {"shadow"}, 1).skipped.add(4);
  metrics_.stored_bodies->of(0).in_memory.add(5);
  metrics_.stored_bodies->of(1).in_file.add(6);
  figures_.stored_body_bytes = 7;
  const std::string text = whole(Exposition(metrics_, figures_));
  EXPECT_THAT(text, HasSubstr("\nheadgate_mirrored_requests_total{upstream=\"shadow\",result=\"sent\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_mirrored_requests_total{upstream=\"shadow\",result=\"skipped\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_mirrored_requests_total{upstream=\"shadow\",result=\"failed\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_buffered_bodies_total{where=\"memory\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_buffered_bodies_total{where=\"file\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_buffered_body_bytes 7\n"));
}

TEST_F(ExpositionTest, TellsRollouts) {
  EXPECT_THAT(whole(Exposition(metrics_, figures_)), Not(HasSubstr("headgate_rollout_state")));
  figures_.rollouts = {{"api", 5, 12.5, 3, 4}};
  const std::string text = whole(Exposition(metrics_, figures_));
  EXPECT_THAT(text, HasSubstr("\nheadgate_rollout_state{upstream=\"api\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_rollout_percent{upstream=\"api\"} 12.5\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_rollout_failed_total{upstream=\"api\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\nheadgate_rollout_shielded_total{upstream=\"api\"} 4\n"));
}

TEST_F(ExpositionTest, TellsCertificates) {
  figures_.certificates = {{"a.test", 86'400}, {"b.test", -60}};
  const std::string text = whole(Exposition(metrics_, figures_));
  EXPECT_THAT(text, HasSubstr("headgate_certificate_expiry_seconds{name=\"a.test\"} 86400\n"));
  EXPECT_THAT(text, HasSubstr("headgate_certificate_expiry_seconds{name=\"b.test\"} -60\n"));
}

/// A scrape with every table over its bound: pieces stay short, each name stands once, no sample comes twice.
TEST_F(ExpositionTest, IsWholeInShortPieces) {
  for (std::size_t i = 0; i < Metrics::kMostRoutes + 10; ++i) {
    const std::string route = "/r" + std::to_string(i);
    metrics_.routes.cells(0, {"shop.test", route}, 1).count(0, 200, std::chrono::milliseconds(1));
  }
  std::size_t longest = 0;
  const std::string text = whole(Exposition(metrics_, figures_), &longest);
  EXPECT_LT(longest, Exposition::kPiece + 16 * 1024);
  std::set<std::string> names;
  std::set<std::string> samples;
  std::uint64_t requests = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(names.insert(line).second) << line;
    } else if (!line.starts_with('#')) {
      const auto blank = line.rfind(' ');
      EXPECT_TRUE(samples.insert(line.substr(0, blank)).second) << line;
      if (line.starts_with("headgate_requests_total{")) requests += std::stoul(line.substr(blank));
    }
  }
  EXPECT_EQ(requests, Metrics::kMostRoutes + 10);
  EXPECT_GT(samples.size(), 18 * Metrics::kMostRoutes);
}

}  // namespace
}  // namespace headgate::observe
