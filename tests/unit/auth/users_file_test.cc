// SPDX-License-Identifier: Apache-2.0
#include "auth/users_file.h"

#include <fstream>

#include <gtest/gtest.h>

#include "auth/credentials.h"
#include "tests/unit/base/sockets.h"

namespace headgate::auth {
namespace {

const std::string kApr1 = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/";
const std::string kBcrypt = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

void write(const std::string& path, const std::string& text) {
  // A new file each time, so that no two states look alike.
  std::ofstream(path + ".new") << text;
  std::filesystem::rename(path + ".new", path);
}

TEST(UsersReading, LinesRemarksAndEmptyOnes) {
  const auto reading =
      UsersReading::of_text("# people\n\nalice:" + kApr1 + "\r\nbob:" + kBcrypt + ":Bob of sales  \nülrike:" + kBcrypt);
  EXPECT_TRUE(reading.problems.empty());
  ASSERT_EQ(reading.users->size(), 3u);
  EXPECT_EQ(*reading.users->find("alice"), kApr1);
  EXPECT_EQ(*reading.users->find("bob"), kBcrypt);
  EXPECT_NE(reading.users->find("ülrike"), nullptr);
  EXPECT_EQ(reading.users->find("Alice"), nullptr);
  EXPECT_EQ(*reading.users->decoy(), kBcrypt) << "the kind that most have";
}

TEST(UsersReading, EachLineThatIsWrongIsNamed) {
  const auto reading =
      UsersReading::of_text("alice:" + kApr1 + "\nnobody\n:" + kApr1 + "\nbob:plain\nalice:" + kBcrypt);
  ASSERT_EQ(reading.problems.size(), 4u);
  EXPECT_EQ(reading.problems[0].line, 2);
  EXPECT_EQ(reading.problems[0].what, "expected NAME:HASH");
  EXPECT_EQ(reading.problems[1].what, "expected a name before the colon");
  EXPECT_EQ(reading.problems[2].what, "expected bcrypt, apr1, SHA-crypt or {SHA}, as `htpasswd -B` makes");
  EXPECT_EQ(reading.problems[3].what, "the user 'alice' stands twice");
}

TEST(UsersReading, AFileOfNobody) {
  const auto reading = UsersReading::of_text("# nobody yet\n");
  EXPECT_TRUE(reading.problems.empty());
  EXPECT_EQ(reading.users->decoy(), nullptr);
}

TEST(UsersFile, WhatCannotBeReadThrows) {
  const TemporaryFolder folder;
  EXPECT_THROW(UsersFile(folder / "none"), std::runtime_error);
  EXPECT_THROW(UsersFile(folder / "."), std::runtime_error);
  write(folder / "users", "alice:" + kApr1 + "\nbob\n");
  try {
    UsersFile file(folder / "users");
    FAIL() << "it was taken";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), std::string(folder / "users") + ":2: expected NAME:HASH");
  }
}

TEST(UsersFile, AChangeIsTakenUpOnceItIsAtRest) {
  const TemporaryFolder folder;
  const std::string path = folder / "users";
  write(path, "alice:" + kApr1 + "\n");
  UsersFile file(path);
  const auto before = file.current();
  file.refresh();
  EXPECT_EQ(file.current(), before);
  write(path, "bob:" + kApr1 + "\n");
  file.refresh();
  EXPECT_EQ(file.current(), before) << "seen for the first time: it may still be being written";
  file.refresh();
  EXPECT_NE(file.current()->find("bob"), nullptr);
  EXPECT_EQ(file.current()->find("alice"), nullptr);

  const auto good = file.current();
  write(path, "bob\n");
  file.refresh();
  file.refresh();
  EXPECT_EQ(file.current(), good) << "one with a mistake changes nothing";
  std::filesystem::remove(path);
  file.refresh();
  file.refresh();
  EXPECT_EQ(file.current(), good);
  write(path, "carol:" + kApr1 + "\n");
  file.refresh();
  file.refresh();
  EXPECT_NE(file.current()->find("carol"), nullptr);
}

TEST(Credentials, BasicAsClientsSendIt) {
  const auto plain = parse_basic("Basic YWxpY2U6c2VjcmV0");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->user, "alice");
  EXPECT_EQ(plain->password, "secret");
  EXPECT_TRUE(parse_basic("bAsIc   YWxpY2U6c2VjcmV0 ").has_value());
  const auto colons = parse_basic("Basic YTpiOmM=");
  ASSERT_TRUE(colons.has_value());
  EXPECT_EQ(colons->user, "a");
  EXPECT_EQ(colons->password, "b:c");
  EXPECT_TRUE(parse_basic("Basic Og==").has_value()) << "both may be empty";
}

TEST(Credentials, EverythingElseIsNone) {
  for (const char* value : {"", "Basic", "Basic ", "Basic=YWxpY2U6c2VjcmV0", "Bearer YWxpY2U6c2VjcmV0", "Basic YWxpY2U",
                            "Basic !!!!", "Basic YTpiAA==", "Basic YTpiCg==", "Basic YTpi YTpi"}) {
    EXPECT_FALSE(parse_basic(value).has_value()) << value;
  }
  EXPECT_FALSE(parse_basic("Basic " + std::string(100'000, 'A')).has_value());
}

TEST(Credentials, TheRealmIsAQuotedString) {
  EXPECT_EQ(basic_challenge("Staff"), "Basic realm=\"Staff\", charset=\"UTF-8\"");
  EXPECT_EQ(basic_challenge("a \"b\" \\c"), "Basic realm=\"a \\\"b\\\" \\\\c\", charset=\"UTF-8\"");
}

}  // namespace
}  // namespace headgate::auth
