// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/question.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "config/load.h"

namespace headgate::cli {
namespace {

class QuestionTest : public testing::Test {
 protected:
  QuestionTest()
      : loaded_(config::load_text(
            "trusted_proxies: [10.0.0.0/8]\n"
            "listeners: [ { address: ':80' }, { address: ':8080' }, { address: ':443', tls: true } ]\n"
            "tls: { certificates: [ { cert: c, key: k } ] }\n",
            "/f", {})) {}

  Question& ask(std::string url, std::vector<std::string> headers = {}, std::string client = "127.0.0.1") {
    options_.url = std::move(url);
    options_.headers = std::move(headers);
    options_.client = std::move(client);
    problem_.clear();
    question_ = std::make_unique<Question>(loaded_.config, options_, problem_);
    return *question_;
  }

  config::Loaded loaded_;
  Options options_;
  std::string problem_;
  std::unique_ptr<Question> question_;
};

TEST_F(QuestionTest, TakesAUrlApart) {
  const auto& question = ask("http://Shop.Example:8080/a%20b?x=1#part");
  EXPECT_EQ(problem_, "");
  EXPECT_EQ(question.host, "shop.example");
  EXPECT_EQ(question.authority, "Shop.Example:8080");
  EXPECT_EQ(question.target, "/a%20b?x=1");
  EXPECT_EQ(question.sent_path, "/a%20b");
  EXPECT_EQ(question.query, "x=1");
  EXPECT_EQ(question.listener->address.text, ":8080");
  EXPECT_FALSE(question.secure);
}

TEST_F(QuestionTest, ChoosesTheListenerByScheme) {
  EXPECT_EQ(ask("https://a/").listener->address.text, ":443");
  EXPECT_TRUE(ask("HTTPS://a").secure);
  EXPECT_EQ(ask("http://a/").listener->address.text, ":80");
  EXPECT_EQ(ask("https://a:9443/").listener->address.text, ":443");
  options_.listener = ":8080";
  EXPECT_EQ(ask("/x").listener->address.text, ":8080");
  options_.listener = ":1";
  ask("/x");
  EXPECT_EQ(problem_, "no listener has the address ':1'");
}

TEST_F(QuestionTest, AHostFieldIsTheHost) {
  EXPECT_EQ(ask("/x", {"Host: a.example:80"}).host, "a.example");
  EXPECT_EQ(ask("http://b.example/x", {"host: a.example."}).host, "a.example");
  EXPECT_EQ(ask("http://[::1]:80/x").host, "[::1]");
}

TEST_F(QuestionTest, TheClientIsFoundAsServeFindsIt) {
  EXPECT_EQ(ask("/x", {"X-Forwarded-For: 192.0.2.7"}, "10.0.0.1").client_text, "192.0.2.7");
  EXPECT_EQ(ask("/x", {"X-Forwarded-For: 192.0.2.7"}, "192.0.2.1").client_text, "192.0.2.1");
}

TEST_F(QuestionTest, SaysWhatIsNoRequest) {
  for (const char* url : {"", "x", "ftp://a/", "http://", "http:///x", "?x"}) {
    ask(url);
    EXPECT_NE(problem_, "") << url;
  }
  ask("/x", {"no colon"});
  EXPECT_EQ(problem_, "-H: expected 'Name: value', got 'no colon'");
  ask("/x", {}, "nobody");
  EXPECT_EQ(problem_, "--client: expected an IP address, got 'nobody'");
  options_.method = "G E T";
  ask("/x");
  EXPECT_EQ(problem_, "'G E T' is not a method");
}

TEST_F(QuestionTest, FillsTemplatesIn) {
  auto& question = ask("http://a.example/x?n=1", {"Cookie: sid=7", "X-Key: k"});
  question.path = "/x y";
  EXPECT_EQ(question.expand("$scheme $host $method $arg_n $cookie_sid $http_x_key $uri $query $server_port"),
            "http a.example GET 1 7 k /x y n=1 80");
  EXPECT_EQ(question.expand_url("https://$host$uri"), "https://a.example/x%20y");
}

}  // namespace
}  // namespace headgate::cli
