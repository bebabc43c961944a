// SPDX-License-Identifier: Apache-2.0
#include "proxy/state_file.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/base/sockets.h"

namespace headgate::proxy {
namespace {

TEST(StateFile, ComesBackAsItWasSaved) {
  const TemporaryFolder folder;
  const auto path = folder / "state";
  const std::string bytes("a\0b\nc", 5);
  ASSERT_TRUE(save_privately(path, bytes));
  EXPECT_EQ(load_file(path), bytes);
  ASSERT_TRUE(save_privately(path, ""));
  EXPECT_EQ(load_file(path), "");
  const std::string large(1'000'000, 'x');
  ASSERT_TRUE(save_privately(path, large));
  EXPECT_EQ(load_file(path), large);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(StateFile, IsItsOwnersAlone) {
  const TemporaryFolder folder;
  const auto path = folder / "state";
  const mode_t before = ::umask(0);
  ASSERT_TRUE(save_privately(path, "secret"));
  ::umask(before);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST(StateFile, AnInterruptedSaveIsInNobodysWay) {
  const TemporaryFolder folder;
  const auto path = folder / "state";
  std::ofstream(path + ".new") << "half of";
  ASSERT_TRUE(save_privately(path, "whole"));
  EXPECT_EQ(load_file(path), "whole");
}

TEST(StateFile, DoesNotFollowALinkThatSomebodyPutThere) {
  const TemporaryFolder folder;
  const auto path = folder / "state";
  std::ofstream(folder / "victim") << "untouched";
  std::filesystem::create_symlink(folder / "victim", path + ".new");
  ASSERT_TRUE(save_privately(path, "state"));
  EXPECT_EQ(load_file(folder / "victim"), "untouched");
  EXPECT_EQ(load_file(path), "state");
}

TEST(StateFile, AFailedSaveLeavesTheOldFile) {
  const TemporaryFolder folder;
  EXPECT_FALSE(save_privately(folder / "no/such/folder", "x"));
  const auto path = folder / "state";
  ASSERT_TRUE(save_privately(path, "old"));
  std::filesystem::create_directory(path + ".new");  // cannot be replaced by a file
  EXPECT_FALSE(save_privately(path, "new"));
  EXPECT_EQ(load_file(path), "old");
}

TEST(StateFile, WhatCannotBeReadIsNothing) {
  const TemporaryFolder folder;
  EXPECT_EQ(load_file(folder / "missing"), std::nullopt);
  std::filesystem::create_directory(folder / "directory");
  EXPECT_EQ(load_file(folder / "directory"), std::nullopt);
  std::ofstream(folder / "huge").close();
  std::filesystem::resize_file(folder / "huge", 17 * 1024 * 1024);
  EXPECT_EQ(load_file(folder / "huge"), std::nullopt);
}

}  // namespace
}  // namespace headgate::proxy
