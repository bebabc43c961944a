// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/status_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace headgate::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const json kStatus = json::parse(R"({
  "version": "1.2.3", "generation": 4, "uptime_s": 7500, "draining": false,
  "requests": 12, "in_flight": 3, "connections": 5,
  "listeners": [{"address": "127.0.0.1:80", "tls": false}, {"address": "[::]:443", "tls": true}],
  "upstreams": [{"name": "api", "pools": [
    {"name": "blue", "rotation": "serving", "servers": [
      {"address": "app.internal:3000", "resolved": "10.0.0.1:3000", "state": "serving", "health": "healthy",
       "for_s": 75.2, "in_flight": 3, "tunnels": 1, "ejections_total": 0, "weight": 1, "backup": false,
       "recent": {"requests": 200, "failed": 1, "error_share": 0.005}, "reason": "status 200", "override": false},
      {"address": "127.0.0.1:2", "resolved": "127.0.0.1:2", "state": "ejected", "health": "unchecked",
       "for_s": 3, "trial_in_s": 7.4, "in_flight": 0, "tunnels": 0, "ejections_total": 2, "weight": 5, "backup": true,
       "recent": {"requests": 0, "failed": 0, "error_share": null}, "reason": "5 errors in a row", "override": false}]},
    {"name": "green", "rotation": "none", "servers": [
      {"address": "127.0.0.1:3", "resolved": "127.0.0.1:3", "state": "drained", "health": "unchecked", "for_s": null,
       "in_flight": null, "tunnels": null, "ejections_total": 0, "weight": 1, "backup": false,
       "recent": {"requests": 0, "failed": 0, "error_share": null}, "reason": "drained by an operator", "override": true}]}]}],
  "overrides": [{"upstream": "api", "server": "127.0.0.1:3", "drained": true, "in_effect": true},
                {"upstream": "old", "server": "127.0.0.1:9", "drained": true, "in_effect": false}]
})");

TEST(StatusTable, ColumnsAreAsWideAsWhatStandsInThem) {
  EXPECT_EQ(status_table(kStatus, false),
            R"(headgate 1.2.3, generation 4, up 2h5m
12 requests, 3 in flight, 5 connections
listener 127.0.0.1:80 (plain)
listener [::]:443 (tls)

upstream api
  pool blue: serving
    SERVER                             STATE    HEALTH     FOR    IN FLIGHT  TUNNELS  RECENT  ERRORS  EJECTIONS  WEIGHT    WHY
    app.internal:3000 (10.0.0.1:3000)  serving  healthy    1m15s  3          1        200     0.5%    0          1         status 200
    127.0.0.1:2                        ejected  unchecked  3s     0          0        0               2          5 backup  5 errors in a row; tried again in 7s
  pool green: none
    127.0.0.1:3                        drained  unchecked                             0               0          1         drained by an operator; override of the file

overrides without effect: the configuration has no such server or site
  upstream old, server 127.0.0.1:9: drained
)");
}

TEST(StatusTable, ColoursMoveNothing) {
  std::string coloured = status_table(kStatus, true);
  EXPECT_THAT(coloured, HasSubstr("\033[32mserving\033[0m"));
  EXPECT_THAT(coloured, HasSubstr("\033[31mejected\033[0m"));
  EXPECT_THAT(coloured, HasSubstr("\033[33mdrained\033[0m"));
  for (const std::string code : {"\033[31m", "\033[32m", "\033[33m", "\033[0m"}) {
    for (auto at = coloured.find(code); at != std::string::npos; at = coloured.find(code))
      coloured.erase(at, code.size());
  }
  EXPECT_EQ(coloured, status_table(kStatus, false));
}

TEST(StatusTable, TakesWhatIsMissingOrOfAnotherKind) {
  for (const char* text :
       {"{}", R"({"upstreams": 1, "listeners": "x", "overrides": null})",
        R"({"upstreams": [1, {"pools": [null, {}]}]})",
        R"({"upstreams": [{"pools": [{"servers": [7, {"recent": [], "address": {}, "for_s": "x"}]}]}]})"}) {
    EXPECT_THAT(status_table(json::parse(text), true), HasSubstr("headgate")) << text;
  }
}

TEST(StatusTable, NothingMovesTheCursor) {
  json status = kStatus;
  status["upstreams"][0]["pools"][0]["servers"][0]["reason"] = "bad\033[2J\r\nthing";
  const std::string text = status_table(status, false);
  EXPECT_THAT(text, HasSubstr("bad?[2J??thing"));
  EXPECT_THAT(text, Not(HasSubstr("\033")));
}

TEST(StatusTable, ShortDurations) {
  EXPECT_EQ(short_duration(-1), "0s");
  EXPECT_EQ(short_duration(59.9), "59s");
  EXPECT_EQ(short_duration(60), "1m");
  EXPECT_EQ(short_duration(303), "5m3s");
  EXPECT_EQ(short_duration(7200), "2h");
  EXPECT_EQ(short_duration(86400 * 3 + 3600 * 4), "3d4h");
}

}  // namespace
}  // namespace headgate::cli
