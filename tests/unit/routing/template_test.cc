// SPDX-License-Identifier: Apache-2.0
#include "routing/template.h"

#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/routing/table_fixture.h"

namespace headgate::routing {
namespace {

using ::testing::HasSubstr;

std::string expanded(std::string_view text) {
  auto parsed = Template::parse(text);
  if (!parsed) return "error at " + std::to_string(parsed.error().offset) + ": " + parsed.error().message;
  EXPECT_EQ(parsed->source(), text);
  return parsed->expand(Echo());
}

TEST(Template, TextWithoutVariablesIsConstant) {
  auto plain = Template::parse("/index.html");
  ASSERT_TRUE(plain);
  EXPECT_TRUE(plain->is_constant());
  EXPECT_FALSE(plain->empty());
  EXPECT_EQ(plain->expand(Echo()), "/index.html");
  auto nothing = Template::parse("");
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->is_constant());
  EXPECT_TRUE(nothing->empty());
  EXPECT_EQ(nothing->expand(Echo()), "");
  auto dollar = Template::parse("5$$");
  ASSERT_TRUE(dollar);
  EXPECT_TRUE(dollar->is_constant());
  EXPECT_EQ(dollar->constant(), "5$");
  EXPECT_EQ(plain->constant(), "/index.html");
  EXPECT_EQ(nothing->constant(), "");
  EXPECT_FALSE(Template::parse("$host")->is_constant());
}

TEST(Template, ExamplesOfTheContract) {
  EXPECT_EQ(expanded("https://$host/new$uri"), "https://<host>/new<uri>");
  EXPECT_EQ(expanded("$host:$remote_addr"), "<host>:<remote_addr>");
  EXPECT_EQ(expanded("$uri/index.html"), "<uri>/index.html");
  EXPECT_EQ(expanded("$remote_addr"), "<remote_addr>");
  EXPECT_EQ(expanded("$http_x_api_key"), "<http x-api-key>");
  EXPECT_EQ(expanded("$cookie_sid"), "<cookie sid>");
  EXPECT_EQ(expanded("$1"), "<capture 1>");
}

TEST(Template, EveryVariable) {
  EXPECT_EQ(
      expanded("$remote_addr $host $scheme $method $uri $request_uri $query $arg_a $http_a $cookie_a $server_port "
               "$request_id $tls_version $pool $upstream_addr $status $remote_user $9"),
      "<remote_addr> <host> <scheme> <method> <uri> <request_uri> <query> <arg a> <http a> <cookie a> <server_port> "
      "<request_id> <tls> <pool> <upstream> <status> <user> <capture 9>");
}

TEST(Template, ANameEndsWhereItsLettersEnd) {
  EXPECT_EQ(expanded("$uri.html"), "<uri>.html");
  EXPECT_EQ(expanded("$uri-$host"), "<uri>-<host>");
  EXPECT_EQ(expanded("${host}name"), "<host>name");
  EXPECT_EQ(expanded("$host$uri"), "<host><uri>");
  EXPECT_EQ(expanded("a${uri}b${1}c"), "a<uri>b<capture 1>c");
  EXPECT_EQ(expanded("$arg_page_size"), "<arg page_size>");
}

TEST(Template, ACaptureIsOneDigit) {
  EXPECT_EQ(expanded("$1_old"), "<capture 1>_old");
  EXPECT_EQ(expanded("/v$1abc$2"), "/v<capture 1>abc<capture 2>");
  EXPECT_EQ(expanded("$10"), "<capture 1>0");
}

TEST(Template, NamesOfFields) {
  EXPECT_EQ(expanded("$http_X_Forwarded_For"), "<http x-forwarded-for>");
  EXPECT_EQ(expanded("$cookie_SID"), "<cookie SID>");
  EXPECT_EQ(expanded("$arg_Q"), "<arg Q>");
}

TEST(Template, DollarSigns) {
  EXPECT_EQ(expanded("$$"), "$");
  EXPECT_EQ(expanded("$$host"), "$host");
  EXPECT_EQ(expanded("$$$host"), "$<host>");
  EXPECT_EQ(expanded("a$$$$b"), "a$$b");
}

TEST(Template, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(expanded("https://$hots/x"), "error at 8: unknown variable $hots; did you mean $host?");
  EXPECT_EQ(expanded("$remote_adr"), "error at 0: unknown variable $remote_adr; did you mean $remote_addr?");
  EXPECT_EQ(expanded("${requestid}"), "error at 0: unknown variable $requestid; did you mean $request_id?");
  EXPECT_EQ(expanded("$cokie_sid"), "error at 0: unknown variable $cokie_sid; did you mean $cookie_sid?");
  EXPECT_EQ(expanded("$htpp_x_user"), "error at 0: unknown variable $htpp_x_user; did you mean $http_x_user?");
  EXPECT_THAT(expanded("ab$"), HasSubstr("error at 2: a name is expected after \"$\""));
  EXPECT_THAT(expanded("$ host"), HasSubstr("error at 0: a name is expected"));
  EXPECT_THAT(expanded("${}"), HasSubstr("error at 0: a name is expected"));
  EXPECT_THAT(expanded("a${host"), HasSubstr("error at 1: \"${\" without"));
  EXPECT_THAT(expanded("$arg_"), HasSubstr("needs a name"));
  EXPECT_THAT(expanded("$http_"), HasSubstr("needs a name"));
  EXPECT_THAT(expanded("$0"), HasSubstr("$1 to $9"));
  EXPECT_THAT(expanded("${10}"), HasSubstr("$1 to $9"));
  EXPECT_THAT(expanded("$xyzzy"), HasSubstr("unknown variable $xyzzy; known are $remote_addr, $host"));
  EXPECT_THAT(expanded("$Host"), HasSubstr("did you mean $host?"));
}

TEST(Template, KnowsTheNamesThatNginxGivesThem) {
  EXPECT_THAT(expanded("$request_method"), HasSubstr("did you mean $method?"));
  EXPECT_THAT(expanded("$args"), HasSubstr("did you mean $query?"));
  EXPECT_THAT(expanded("$document_uri"), HasSubstr("did you mean $uri?"));
  EXPECT_THAT(expanded("$server_name"), HasSubstr("did you mean $host?"));
}

TEST(Template, AVeryLongNameIsAnsweredInTime) {
  EXPECT_THAT(expanded("$" + std::string(100000, 'a')), HasSubstr("unknown variable"));
  EXPECT_THAT(expanded("$htpp_" + std::string(100000, 'a')), HasSubstr("unknown variable"));
}

TEST(Template, ExpandAppends) {
  std::string out = "before ";
  Template::parse("$host!")->expand(Echo(), out);
  EXPECT_EQ(out, "before <host>!");
}

TEST(Template, ForTheReader) {
  EXPECT_FALSE(check_template("https://$host$uri").has_value());
  EXPECT_THAT(check_template("$hots").value_or(""), HasSubstr("did you mean $host?"));
  EXPECT_THROW(Template::parse("$hots").value(), std::invalid_argument);
}

}  // namespace
}  // namespace headgate::routing
