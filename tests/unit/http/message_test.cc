// SPDX-License-Identifier: Apache-2.0
#include "http/message.h"

#include <cctype>
#include <string>

#include <gtest/gtest.h>

namespace headgate::http {
namespace {

struct Known {
  std::string_view name;
  Method method;
  bool safe;
  bool idempotent;
};

constexpr Known kMethods[] = {
    {"GET", Method::kGet, true, true},         {"HEAD", Method::kHead, true, true},
    {"POST", Method::kPost, false, false},     {"PUT", Method::kPut, false, true},
    {"DELETE", Method::kDelete, false, true},  {"CONNECT", Method::kConnect, false, false},
    {"OPTIONS", Method::kOptions, true, true}, {"TRACE", Method::kTrace, true, true},
    {"PATCH", Method::kPatch, false, false},   {"PROPFIND", Method::kOther, false, false},
};

TEST(Method, KnowsItsNameAndNature) {
  for (const auto& known : kMethods) {
    EXPECT_EQ(method_of(known.name), known.method) << known.name;
    EXPECT_EQ(is_safe(known.method), known.safe) << known.name;
    EXPECT_EQ(is_idempotent(known.method), known.idempotent) << known.name;
  }
}

TEST(Method, IsCaseSensitiveAndWhole) {
  for (const auto& known : kMethods) {
    std::string lower(known.name);
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    EXPECT_EQ(method_of(lower), Method::kOther) << lower;
    EXPECT_EQ(method_of(std::string(known.name) + "X"), Method::kOther);
    EXPECT_EQ(method_of(known.name.substr(1)), Method::kOther) << known.name;
  }
  EXPECT_EQ(method_of(""), Method::kOther);
}

TEST(Version, HasTheNameThatLogsPrint) {
  EXPECT_EQ(to_string(Version::kHttp10), "HTTP/1.0");
  EXPECT_EQ(to_string(Version::kHttp11), "HTTP/1.1");
  EXPECT_EQ(to_string(Version::kHttp2), "HTTP/2.0");
}

TEST(HasNoContent, DependsOnStatusAndMethod) {
  for (int status = 100; status < 600; ++status) {
    const bool none = status < 200 || status == 204 || status == 304;
    EXPECT_EQ(has_no_content(status, Method::kGet), none) << status;
    EXPECT_EQ(has_no_content(status, Method::kPost), none) << status;
    EXPECT_TRUE(has_no_content(status, Method::kHead)) << status;
  }
}

TEST(ReasonPhrase, IsKnownForWhatWeSayOurselves) {
  EXPECT_EQ(reason_phrase(200), "OK");
  EXPECT_EQ(reason_phrase(413), "Content Too Large");
  EXPECT_EQ(reason_phrase(418), "");
  EXPECT_EQ(reason_phrase(99), "");
  EXPECT_EQ(reason_phrase(-1), "");
  for (const int status : {100, 101, 204, 206, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405,
                           408, 412, 414, 416, 417, 421, 429, 431, 500, 501, 502, 503, 504, 505}) {
    EXPECT_FALSE(reason_phrase(status).empty()) << status;
  }
  for (int status = 0; status < 1000; ++status) {
    for (const char c : reason_phrase(status)) {
      EXPECT_TRUE(std::isalpha(static_cast<unsigned char>(c)) != 0 || c == ' ' || c == '-') << status;
    }
  }
}

}  // namespace
}  // namespace headgate::http
