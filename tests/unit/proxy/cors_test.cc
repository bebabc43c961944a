// SPDX-License-Identifier: Apache-2.0
#include "proxy/cors.h"

#include <gtest/gtest.h>

#include "base/loop.h"
#include "config/units.h"

namespace headgate::proxy {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

http::Fields fields_of(const Pairs& pairs) {
  http::Fields fields;
  for (const auto& [name, value] : pairs) fields.add(name, value);
  return fields;
}

Pairs pairs_of(const http::Fields& fields) {
  Pairs pairs;
  for (const auto& field : fields) pairs.emplace_back(field.name, field.value);
  return pairs;
}

std::string canonical(std::string_view text) {
  const auto origin = config::parse_origin(text);
  return origin ? *origin : "error";
}

TEST(Origin, IsSerialisedAsBrowsersDo) {
  EXPECT_EQ(canonical("HTTPS://Shop.Example.COM:443"), "https://shop.example.com");
  EXPECT_EQ(canonical("http://a.example:80"), "http://a.example");
  EXPECT_EQ(canonical("https://a.example:80"), "https://a.example:80");
  EXPECT_EQ(canonical("http://a.example:08443"), "http://a.example:8443");
  EXPECT_EQ(canonical("http://[0:0::1]:3000"), "http://[::1]:3000");
  EXPECT_EQ(canonical("capacitor://localhost"), "capacitor://localhost");
  EXPECT_EQ(canonical("https://*.Example.com:8443"), "https://*.example.com:8443");
  EXPECT_EQ(canonical("*"), "*");
  for (const auto* text : {"",
                           "null",
                           "a.example",
                           "https://",
                           "https:///",
                           "https://a.example/",
                           "https://a.example?x",
                           "https://u@a.example",
                           "https://a.example:",
                           "https://a.example:x",
                           "https://a.example:65536",
                           "https://*",
                           "https://*.",
                           "https://a.*.example",
                           "https://*a.example",
                           "*://a.example",
                           "https://[::1",
                           "https://::1",
                           "https://a..example",
                           "https://a b",
                           "1://a.example",
                           "https://*.*.example",
                           "https://b\xc3\xbc.example"}) {
    EXPECT_EQ(canonical(text), "error") << text;
  }
}

TEST(OriginList, ComparesWholeOrigins) {
  const OriginList list({"https://shop.example.com", "http://localhost:3000", "https://*.example.org"});
  for (const auto* origin : {"https://shop.example.com", "http://localhost:3000", "https://a.example.org",
                             "https://a.b-c.example.org", "https://xn--bcher-kva.example.org"}) {
    EXPECT_TRUE(list.allows(origin)) << origin;
  }
  for (const auto* origin :
       {"", "null", "*", "http://shop.example.com", "https://shop.example.com:8443",
        "https://shop.example.com.evil.net", "https://evil-shop.example.com", "https://shop.example.co",
        "https://shop.example.comm", "HTTPS://shop.example.com", "https://Shop.example.com",
        "https://shop.example.com/", "https://shop.example.com https://evil.net", "http://localhost",
        "http://localhost:30000", "http://localhost:3000.evil.net",
        // of the wildcard
        "https://example.org", "https://.example.org", "https://evil-example.org", "https://evilexample.org",
        "http://a.example.org", "https://a.example.org:8443", "https://a.example.org.evil.net",
        "https://evil.net/.example.org", "https://evil.net#.example.org", "https://evil.net?.example.org",
        "https://evil.net\\.example.org", "https://user@.example.org", "https://evil.net:80@a.example.org",
        "https://evil.net:1.example.org", "https://evil.net%2f.example.org", "https://a..example.org",
        "https://..example.org", "https://A.example.org", "https://a b.example.org", "https://*.example.org"}) {
    EXPECT_FALSE(list.allows(origin)) << origin;
  }
}

TEST(OriginList, AWildcardHasOnePort) {
  const OriginList list({"http://*.dev.example:8080"});
  EXPECT_TRUE(list.allows("http://a.dev.example:8080"));
  EXPECT_FALSE(list.allows("http://a.dev.example"));
  EXPECT_FALSE(list.allows("http://a.dev.example:80800"));
  EXPECT_FALSE(list.allows("http://a.dev.example:8080:8080"));
  EXPECT_TRUE(OriginList({"*"}).allows("null"));
  EXPECT_FALSE(OriginList().allows("https://a.example"));
}

class Cors : public testing::Test {
 protected:
  Pairs answer(const config::Cors& settings, const Pairs& asked, const Pairs& of_application = {}) {
    http::Fields fields = fields_of(of_application);
    const http::Fields request = fields_of(asked);
    const CorsPolicy policy(settings);
    policy.apply(request, fields, arena_);
    return pairs_of(fields);
  }
  Pairs preflight(const config::Cors& settings, const Pairs& asked) {
    http::Fields fields;
    const http::Fields request = fields_of(asked);
    const CorsPolicy policy(settings);
    policy.answer_preflight(request, fields, arena_);
    return pairs_of(fields);
  }

  BufferPool buffers_;
  Arena arena_{buffers_};
};

config::Cors of(std::vector<std::string> origins) {
  config::Cors cors;
  cors.origins = std::move(origins);
  return cors;
}

TEST_F(Cors, TheDecisionIsInVaryWhateverItIs) {
  auto cors = of({"https://a.example"});
  cors.credentials = true;
  cors.expose_headers = {"X-Total", "Link"};
  EXPECT_EQ(answer(cors, {{"Origin", "https://a.example"}}),
            (Pairs{{"Vary", "Origin"},
                   {"Access-Control-Allow-Origin", "https://a.example"},
                   {"Access-Control-Allow-Credentials", "true"},
                   {"Access-Control-Expose-Headers", "X-Total, Link"}}));
  EXPECT_EQ(answer(cors, {}), (Pairs{{"Vary", "Origin"}}));
  EXPECT_EQ(answer(cors, {{"Origin", "https://b.example"}}), (Pairs{{"Vary", "Origin"}}));
  EXPECT_EQ(answer(cors, {{"Origin", "https://a.example"}, {"Origin", "https://b.example"}}),
            (Pairs{{"Vary", "Origin"}}));
}

TEST_F(Cors, VaryIsOneField) {
  const auto cors = of({"https://a.example"});
  EXPECT_EQ(answer(cors, {}, {{"Vary", "Accept-Encoding"}}), (Pairs{{"Vary", "Accept-Encoding, Origin"}}));
  EXPECT_EQ(answer(cors, {}, {{"Vary", "Accept, origin"}}), (Pairs{{"Vary", "Accept, origin"}}));
  EXPECT_EQ(answer(cors, {}, {{"Vary", "*"}}), (Pairs{{"Vary", "*"}}));
  EXPECT_EQ(answer(cors, {}, {{"Vary", ""}}), (Pairs{{"Vary", "Origin"}}));
}

TEST_F(Cors, EveryoneNeedsNoVary) {
  const Pairs all = {{"Access-Control-Allow-Origin", "*"}};
  EXPECT_EQ(answer(of({"*"}), {}), all);
  EXPECT_EQ(answer(of({"*"}), {{"Origin", "null"}}), all);
}

TEST_F(Cors, TheApplicationsOwnStaysOnce) {
  auto cors = of({"https://a.example"});
  cors.credentials = true;
  const Pairs asked = {{"Origin", "https://a.example"}};
  EXPECT_EQ(answer(cors, asked, {{"Access-Control-Allow-Origin", "*"}}), (Pairs{{"Access-Control-Allow-Origin", "*"}}));
  EXPECT_EQ(answer(cors, asked,
                   {{"access-control-allow-origin", "https://x"}, {"X", "1"}, {"Access-Control-Allow-Origin", "*"}}),
            (Pairs{{"access-control-allow-origin", "https://x"}, {"X", "1"}}));
}

TEST_F(Cors, APreflightSaysWhatIsAllowed) {
  auto cors = of({"https://a.example"});
  const Pairs asked = {{"Origin", "https://a.example"},
                       {"Access-Control-Request-Method", "PATCH"},
                       {"Access-Control-Request-Headers", "x-a,x-b"}};
  const std::pair<std::string, std::string> vary = {
      "Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"};
  const std::pair<std::string, std::string> origin = {"Access-Control-Allow-Origin", "https://a.example"};
  EXPECT_EQ(preflight(cors, asked), (Pairs{vary, origin, {"Access-Control-Allow-Methods", "GET, HEAD, POST"}}));
  cors.methods = {"GET", "PUT"};
  cors.headers = {"Authorization", "X-A"};
  cors.max_age = std::chrono::minutes(10);
  EXPECT_EQ(preflight(cors, asked), (Pairs{vary,
                                           origin,
                                           {"Access-Control-Allow-Methods", "GET, PUT"},
                                           {"Access-Control-Allow-Headers", "Authorization, X-A"},
                                           {"Access-Control-Max-Age", "600"}}));
  cors.methods = cors.headers = {"*"};
  EXPECT_EQ(preflight(cors, asked), (Pairs{vary,
                                           origin,
                                           {"Access-Control-Allow-Methods", "PATCH"},
                                           {"Access-Control-Allow-Headers", "x-a,x-b"},
                                           {"Access-Control-Max-Age", "600"}}));
  EXPECT_EQ(preflight(cors, {{"Origin", "https://b.example"}, {"Access-Control-Request-Method", "GET"}}),
            (Pairs{vary}));
}

TEST(AnnouncedMethod, IsThatOfAPreflightAlone) {
  const Pairs origin = {{"Origin", "https://a"}};
  const Pairs method = {{"Access-Control-Request-Method", "PUT"}};
  const Pairs both = {origin[0], method[0]};
  EXPECT_EQ(announced_method("OPTIONS", fields_of(both)), "PUT");
  EXPECT_EQ(announced_method("GET", fields_of(both)), std::nullopt);
  EXPECT_EQ(announced_method("OPTIONS", fields_of(origin)), std::nullopt);
  EXPECT_EQ(announced_method("OPTIONS", fields_of(method)), std::nullopt);
}

}  // namespace
}  // namespace headgate::proxy
