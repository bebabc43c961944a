// SPDX-License-Identifier: Apache-2.0
// The hashes were made by openssl passwd and Python's crypt.
#include "auth/password_hash.h"

#include <gtest/gtest.h>

#include "auth/base64.h"

namespace headgate::auth {
namespace {

struct Known {
  const char* password;
  const char* hash;
};

const Known kKnown[] = {
    {"secret", "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/"},
    {"geheim", "$apr1$abcdefgh$bw9gEObk10asetVLiysIZ0"},
    {"", "$apr1$ab$S8K6Sgp3W8c9Jb6LxgywZ."},
    {"a password of more than sixteen bytes, äöü", "$apr1$x$eQyYZJPaidM2w3LlNYhjI."},
    {"secret", "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"},
    {"secret", "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"},
    {"secret", "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA"},
    {"secret", "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2"},
    {"secret", "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1"},
    {"secret", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="},
};

TEST(PasswordHash, EveryKindMatchesItsPasswordAndNoOther) {
  for (const auto& [password, hash] : kKnown) {
    EXPECT_EQ(problem_with_hash(hash), std::nullopt) << hash;
    EXPECT_TRUE(matches(password, hash)) << hash;
    EXPECT_FALSE(matches(std::string(password) + "x", hash)) << hash;
    EXPECT_FALSE(matches("Secret", hash)) << hash;
  }
}

TEST(PasswordHash, WhatFollowsANulIsPartOfAPassword) {
  for (const auto& [password, hash] : kKnown) {
    EXPECT_FALSE(matches(std::string(password) + std::string("\0x", 2), hash)) << hash;
  }
}

TEST(PasswordHash, ALongPasswordMatchesNothing) {
  EXPECT_FALSE(matches(std::string(kLongestPassword + 1, 'a'), kKnown[4].hash));
}

TEST(PasswordHash, WhatCannotBeUsedIsSaid) {
  const std::string bcrypt = kKnown[4].hash;
  const std::string sha = kKnown[6].hash;
  const std::string apr1 = kKnown[0].hash;
  for (const std::string& hash : {std::string(),
                                  std::string("plain"),
                                  std::string("rl0uE1LG9vnuE"),
                                  std::string("$1$ab$S8K6Sgp3W8c9Jb6LxgywZ."),
                                  bcrypt.substr(0, 59),
                                  bcrypt + "x",
                                  "$2y$xx" + bcrypt.substr(6),
                                  "$2y$03" + bcrypt.substr(6),
                                  "$2y$17" + bcrypt.substr(6),
                                  bcrypt.substr(0, 59) + "!",
                                  sha.substr(0, sha.size() - 1),
                                  std::string("$5$"),
                                  std::string("$6$rounds=5000"),
                                  "$5$rounds=2000000$" + sha.substr(3),
                                  "$5$rounds=x$" + sha.substr(3),
                                  apr1 + "x",
                                  std::string("$apr1$"),
                                  std::string("$apr1$abcdefghi$h9FWgUz3n9YxylKLlR5SQ/"),
                                  std::string("{SHA}"),
                                  std::string("{SHA}5en6"),
                                  std::string("{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=")}) {
    EXPECT_NE(problem_with_hash(hash), std::nullopt) << hash;
  }
  EXPECT_EQ(problem_with_hash("$2y$17" + bcrypt.substr(6)), "a bcrypt cost of 17 takes too long: 16 is the most");
  EXPECT_EQ(problem_with_hash("plain"), "expected bcrypt, apr1, SHA-crypt or {SHA}, as `htpasswd -B` makes");
}

TEST(Base64, DecodesWhatIsEncoded) {
  EXPECT_EQ(decode_base64(""), "");
  EXPECT_EQ(decode_base64("Zg=="), "f");
  EXPECT_EQ(decode_base64("Zg"), "f");
  EXPECT_EQ(decode_base64("Zm8="), "fo");
  EXPECT_EQ(decode_base64("Zm9v"), "foo");
  EXPECT_EQ(decode_base64("+/+/"), "\xfb\xff\xbf");
  for (const char* text :
       {"Z", "Zg=", "Zg===", "Z===", "====", "=", "Zm9v=", "Zh==", "Zm9=", "Zm 9v", "Zm9-", "Zm9v\n"}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace headgate::auth
