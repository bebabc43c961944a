// SPDX-License-Identifier: Apache-2.0
#include <array>

#include <gtest/gtest.h>

#include "proxy/handlers/open_beneath.h"
#include "tests/unit/proxy/file_tree.h"

namespace headgate::proxy {
namespace {

/// Each way of resolving must give the same answers.
class OpenBeneath : public testing::TestWithParam<OpenWay> {
 protected:
  OpenBeneath() {
    tree.write("secret", "secret");
    tree.write("root/file", "file");
    tree.write("root/dir/inner", "inner");
    tree.link("file", "root/link");
    tree.link("dir", "root/dirlink");
    tree.link("../dir/inner", "root/other/up");
    tree.link(tree.path("root/dir/inner"), "root/absolute");
    tree.link("../secret", "root/out");
    tree.link(tree.path("secret"), "root/absolute_out");
    tree.link("..", "root/parent");
    tree.link(tree.path("root") + "x", "root/prefix");  // a sibling whose name begins like the root's
    tree.write("rootx", "sibling");
    tree.link("loop", "root/loop");
    root = std::move(*open_root(tree.path("root")));
  }

  std::string read(std::string_view path, SymlinkPolicy policy) {
    auto opened = open_beneath(root.get(), path, policy, OpenFor::kReading, GetParam());
    if (!opened) {
      switch (opened.error()) {
        case OpenError::kMissing:
          return "<missing>";
        case OpenError::kDenied:
          return "<denied>";
        case OpenError::kEscapes:
          return "<escapes>";
        default:
          return "<failed>";
      }
    }
    struct stat info {};
    if (::fstat(opened->get(), &info) == 0 && S_ISDIR(info.st_mode)) return "<directory>";
    std::array<char, 64> text{};
    const auto count = ::read(opened->get(), text.data(), text.size());
    return count < 0 ? "<unreadable>" : std::string(text.data(), static_cast<std::size_t>(count));
  }
  std::string within(std::string_view path) { return read(path, SymlinkPolicy::kWithinRoot); }
  std::string never(std::string_view path) { return read(path, SymlinkPolicy::kNever); }

  FileTree tree;
  UniqueFd root;
};

TEST_P(OpenBeneath, FilesAndDirectories) {
  for (const auto policy : {SymlinkPolicy::kWithinRoot, SymlinkPolicy::kNever, SymlinkPolicy::kAlways}) {
    EXPECT_EQ(read("/file", policy), "file");
    EXPECT_EQ(read("file", policy), "file");
    EXPECT_EQ(read("//dir//inner", policy), "inner");
    EXPECT_EQ(read("/", policy), "<directory>");
    EXPECT_EQ(read("", policy), "<directory>");
    EXPECT_EQ(read("/dir", policy), "<directory>");
    EXPECT_EQ(read("/dir/", policy), "<directory>");
    EXPECT_EQ(read("/none", policy), "<missing>");
    EXPECT_EQ(read("/file/", policy), "<missing>");
    EXPECT_EQ(read("/file/below", policy), "<missing>");
    EXPECT_EQ(read("/" + std::string(300, 'a'), policy), "<missing>");
  }
}

TEST_P(OpenBeneath, DotDotNeverLeads) {
  for (const auto policy : {SymlinkPolicy::kWithinRoot, SymlinkPolicy::kNever, SymlinkPolicy::kAlways}) {
    EXPECT_EQ(read("/../secret", policy), "<missing>");
    EXPECT_EQ(read("/dir/../../secret", policy), "<missing>");
    EXPECT_EQ(read("/dir/..", policy), "<missing>");
    EXPECT_EQ(read(std::string_view("/file\0x", 7), policy), "<missing>");
    EXPECT_EQ(read(tree.path("secret"), policy), "<missing>");
  }
}

TEST_P(OpenBeneath, LinksOutOfTheRootEscape) {
  EXPECT_EQ(within("/out"), "<escapes>");
  EXPECT_EQ(within("/absolute_out"), "<escapes>");
  EXPECT_EQ(within("/prefix"), "<escapes>");
  EXPECT_EQ(within("/parent/secret"), "<escapes>");
  EXPECT_EQ(within("/loop"), "<escapes>");
}

TEST_P(OpenBeneath, LinksInsideAreFollowed) {
  if (GetParam() == OpenWay::kSegments) {  // the last resort follows none
    EXPECT_EQ(within("/link"), "<escapes>");
    EXPECT_EQ(within("/dirlink/inner"), "<escapes>");
    return;
  }
  EXPECT_EQ(within("/link"), "file");
  EXPECT_EQ(within("/dirlink/inner"), "inner");
  EXPECT_EQ(within("/dirlink/"), "<directory>");
  EXPECT_EQ(within("/other/up"), "inner");
  EXPECT_EQ(within("/absolute"), "inner");
}

TEST_P(OpenBeneath, NeverFollowsNone) {
  EXPECT_EQ(never("/link"), "<escapes>");
  EXPECT_EQ(never("/dirlink/inner"), "<escapes>");
  EXPECT_EQ(never("/out"), "<escapes>");
}

TEST_P(OpenBeneath, AlwaysFollowsAll) {
  EXPECT_EQ(read("/out", SymlinkPolicy::kAlways), "secret");
  EXPECT_EQ(read("/absolute", SymlinkPolicy::kAlways), "inner");
}

TEST_P(OpenBeneath, AFifoDoesNotBlock) {
  ASSERT_EQ(::mkfifo(tree.path("root/fifo").c_str(), 0600), 0);
  auto opened = open_beneath(root.get(), "/fifo", SymlinkPolicy::kWithinRoot, OpenFor::kReading, GetParam());
  ASSERT_TRUE(opened);
}

TEST_P(OpenBeneath, PermissionsOfTheSystem) {
  ASSERT_EQ(::chmod(tree.path("root/file").c_str(), 0), 0);
  ASSERT_EQ(::chmod(tree.path("root/dir").c_str(), 0), 0);
  const Unprivileged somebody;
  EXPECT_EQ(within("/file"), "<denied>");
  EXPECT_EQ(within("/dir/inner"), "<denied>");
  EXPECT_TRUE(open_beneath(root.get(), "/file", SymlinkPolicy::kWithinRoot, OpenFor::kInspecting, GetParam()));
}

TEST(OpenRoot, FollowsLinksAndWantsADirectory) {
  const FileTree tree;
  tree.write("releases/1/file", "x");
  tree.link("releases/1", "current");
  EXPECT_TRUE(open_root(tree.path("current")));
  EXPECT_FALSE(open_root(tree.path("releases/1/file")));
  EXPECT_FALSE(open_root(tree.path("none")));
}

std::string name_of(const testing::TestParamInfo<OpenWay>& info) {
  switch (info.param) {
    case OpenWay::kKernel:
      return "kernel";
    case OpenWay::kRealPath:
      return "real_path";
    case OpenWay::kSegments:
      break;
  }
  return "segments";
}

INSTANTIATE_TEST_SUITE_P(Ways, OpenBeneath, testing::Values(OpenWay::kKernel, OpenWay::kRealPath, OpenWay::kSegments),
                         name_of);

}  // namespace
}  // namespace headgate::proxy
