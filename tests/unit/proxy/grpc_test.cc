// SPDX-License-Identifier: Apache-2.0
#include "proxy/grpc.h"

#include <gtest/gtest.h>

namespace headgate::proxy {
namespace {

using namespace std::chrono_literals;

bool with_type(std::string_view type) {
  http::Fields fields;
  fields.add("Content-Type", type);
  return is_grpc(fields);
}

TEST(GrpcTest, WhichRequestsAreCalls) {
  for (const auto* type :
       {"application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "Application/GRPC"}) {
    EXPECT_TRUE(with_type(type)) << type;
  }
  for (const auto* type : {"application/grpc-web", "application/grpc-web+proto", "application/grp", "", "text/plain"}) {
    EXPECT_FALSE(with_type(type)) << type;
  }
  EXPECT_FALSE(is_grpc(http::Fields()));
}

TEST(GrpcTest, Timeouts) {
  EXPECT_EQ(parse_grpc_timeout("1H"), Duration(1h));
  EXPECT_EQ(parse_grpc_timeout("2M"), Duration(2min));
  EXPECT_EQ(parse_grpc_timeout("3S"), Duration(3s));
  EXPECT_EQ(parse_grpc_timeout("100m"), Duration(100ms));
  EXPECT_EQ(parse_grpc_timeout("5u"), Duration(5us));
  EXPECT_EQ(parse_grpc_timeout("99999999n"), Duration(99999999ns));
  EXPECT_EQ(parse_grpc_timeout("0S"), Duration(0));
  for (const auto* text : {"", "S", "1", "1s", "-1S", "+1S", " 1S", "1 S", "1.5S", "123456789S", "99999999H"}) {
    EXPECT_FALSE(parse_grpc_timeout(text)) << text;
  }
}

TEST(GrpcTest, WhatIsLeftOfATimeout) {
  BufferPool pool;
  Arena arena(pool);
  EXPECT_EQ(grpc_timeout(5us, arena), "5000n");
  EXPECT_EQ(grpc_timeout(99'999'999ns, arena), "99999999n");
  EXPECT_EQ(grpc_timeout(100ms, arena), "100000u");
  EXPECT_EQ(grpc_timeout(100'000'999ns, arena), "100000u");  // never more than there is
  EXPECT_EQ(grpc_timeout(20s, arena), "20000000u");
  EXPECT_EQ(grpc_timeout(100s, arena), "100000m");
  EXPECT_EQ(grpc_timeout(24h * 365, arena), "31536000S");
  EXPECT_EQ(grpc_timeout(0s, arena), "1n");
  EXPECT_EQ(grpc_timeout(-3s, arena), "1n");
  for (const Duration left : {Duration(1), Duration(99s), Duration(1001s), Duration(31h), Duration(8000h)}) {
    const auto read = parse_grpc_timeout(grpc_timeout(left, arena));
    ASSERT_TRUE(read);
    EXPECT_LE(*read, left);
    EXPECT_GT(*read, left - 1s);
  }
}

TEST(GrpcTest, StatusesStandForThoseOfHttp) {
  EXPECT_EQ(grpc_status(502), "14");
  EXPECT_EQ(grpc_status(503), "14");
  EXPECT_EQ(grpc_status(504), "4");
  EXPECT_EQ(grpc_status(413), "8");
  EXPECT_EQ(grpc_status(429), "8");
  EXPECT_EQ(grpc_status(404), "12");
  EXPECT_EQ(grpc_status(401), "16");
  EXPECT_EQ(grpc_status(403), "7");
  EXPECT_EQ(grpc_status(500), "13");
  EXPECT_EQ(grpc_status(418), "2");
}

TEST(GrpcTest, StatusesThatSayThatTheServerHasFailed) {
  EXPECT_EQ(status_of_failed_call("2"), 500);
  EXPECT_EQ(status_of_failed_call("4"), 504);
  EXPECT_EQ(status_of_failed_call("13"), 500);
  EXPECT_EQ(status_of_failed_call("14"), 503);
  EXPECT_EQ(status_of_failed_call("15"), 500);
  for (const char* const status : {"0", "1", "3", "5", "7", "8", "12", "16", "", "x", "002"}) {
    EXPECT_EQ(status_of_failed_call(status), 0) << status;
  }
}

TEST(GrpcTest, MessagesArePercentEncoded) {
  BufferPool pool;
  Arena arena(pool);
  EXPECT_EQ(grpc_message("no_route: plain", arena), "no_route: plain");
  EXPECT_EQ(grpc_message("100% \n\xc3\xbc", arena), "100%25 %0A%C3%BC");
  EXPECT_EQ(grpc_message("", arena), "");
}

}  // namespace
}  // namespace headgate::proxy
