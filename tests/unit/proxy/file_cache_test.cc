// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/file_cache.h"

#include <chrono>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

#include "tests/unit/proxy/file_tree.h"

namespace headgate::proxy {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kLongAgo = 1'600'000'000;

class FileCacheTest : public testing::Test {
 protected:
  Loaded find(std::string_view path) { return cache.find(root, path, now); }
  std::string body(std::string_view path) {
    const auto loaded = find(path);
    return loaded.file ? loaded.file->representations.front().body : "<none>";
  }
  void wait(Duration time) { now += time; }

  FileTree tree;
  FileRoot root{tree.path("root"), SymlinkPolicy::kWithinRoot, {http::Coding::kBrotli, http::Coding::kGzip}};
  FileCache cache;
  TimePoint now = Clock::now();
};

TEST_F(FileCacheTest, AHitDoesNotTouchTheDisk) {
  tree.write("root/a.txt", "hello");
  const auto first = find("/a.txt");
  ASSERT_EQ(first.state, FileState::kFile);
  EXPECT_EQ(first.file->content_type, "text/plain; charset=utf-8");
  EXPECT_TRUE(first.file->representations.front().in_memory);
  tree.remove("root");
  wait(FileCache::kEntryLife - milliseconds(1));
  EXPECT_EQ(find("/a.txt").file, first.file);
  EXPECT_EQ(cache.usage().hits, 1u);
  EXPECT_EQ(cache.usage().checks, 1u);
}

TEST_F(FileCacheTest, AChangeIsSeenWithinASecond) {
  tree.write("root/a.txt", "old");
  EXPECT_EQ(body("/a.txt"), "old");
  const auto old_tag = find("/a.txt").file->representations.front().etag;
  tree.write("root/a.txt", "new");  // same size, perhaps within one tick of the file system's clock
  wait(milliseconds(1000));
  EXPECT_EQ(body("/a.txt"), "new");
  EXPECT_NE(find("/a.txt").file->representations.front().etag, old_tag);
}

TEST_F(FileCacheTest, AppearingAndDisappearing) {
  tree.directory("root");
  EXPECT_EQ(find("/a.txt").state, FileState::kMissing);
  tree.write("root/a.txt", "x");
  wait(milliseconds(1000));
  EXPECT_EQ(body("/a.txt"), "x");
  tree.remove("root/a.txt");
  wait(milliseconds(1000));
  EXPECT_EQ(find("/a.txt").state, FileState::kMissing);
  tree.directory("root/a.txt");
  wait(milliseconds(1000));
  EXPECT_EQ(find("/a.txt").state, FileState::kDirectory);
}

TEST_F(FileCacheTest, ASwitchedRootIsSeenWithinASecond) {
  tree.write("releases/1/a.txt", "one");
  tree.write("releases/2/a.txt", "two");
  tree.link("releases/1", "current");
  const FileRoot current(tree.path("current"), SymlinkPolicy::kWithinRoot, {});
  tree.write("releases/1/b.txt", "b");
  EXPECT_EQ(cache.find(current, "/a.txt", now).file->representations.front().body, "one");
  wait(milliseconds(150));
  // Keeps the root's descriptor of before in use for as long as it may be.
  EXPECT_EQ(cache.find(current, "/b.txt", now).state, FileState::kFile);
  tree.link("releases/2", "next");
  std::filesystem::rename(tree.path("next"), tree.path("current"));
  const auto switched = now;
  wait(milliseconds(30));
  cache.find(current, "/a.txt", now);
  now = switched + milliseconds(1000);
  EXPECT_EQ(cache.find(current, "/a.txt", now).file->representations.front().body, "two");
  EXPECT_EQ(cache.find(current, "/b.txt", now).state, FileState::kMissing);
}

TEST_F(FileCacheTest, AFileOfTheNewReleaseIsFoundAtOnce) {
  tree.write("releases/1/a.txt", "one");
  tree.write("releases/2/new.js", "new");
  tree.link("releases/1", "current");
  const FileRoot current(tree.path("current"), SymlinkPolicy::kWithinRoot, {});
  EXPECT_EQ(cache.find(current, "/a.txt", now).state, FileState::kFile);
  tree.link("releases/2", "next");
  std::filesystem::rename(tree.path("next"), tree.path("current"));
  wait(milliseconds(1));
  EXPECT_EQ(cache.find(current, "/new.js", now).state, FileState::kFile);
  EXPECT_EQ(cache.find(current, "/gone.js", now).state, FileState::kMissing);
}

TEST_F(FileCacheTest, AFileWrittenJustNowIsReadOnceMore) {
  tree.write("root/a.txt", "hello");
  const auto first = find("/a.txt").file;
  wait(milliseconds(1000));
  EXPECT_NE(find("/a.txt").file, first) << "the next change could have borne the same time";
  EXPECT_EQ(find("/a.txt").file->representations.front().etag, first->representations.front().etag);
}

TEST_F(FileCacheTest, AnOldFileIsLookedAtButNotReadAgain) {
  const FileRoot system("/etc", SymlinkPolicy::kWithinRoot, {});
  const auto first = cache.find(system, "/passwd", now).file;
  ASSERT_TRUE(first);
  wait(milliseconds(1000));
  EXPECT_EQ(cache.find(system, "/passwd", now).file, first);
  EXPECT_EQ(cache.usage().checks, 2u);
}

TEST_F(FileCacheTest, SiblingsThatAreNotOlder) {
  tree.write("root/app.js", "plain");
  tree.write("root/app.js.br", "brotli");
  tree.write("root/app.js.gz", "gzip");
  tree.modified("root/app.js", kLongAgo);
  tree.modified("root/app.js.br", kLongAgo);
  tree.modified("root/app.js.gz", kLongAgo - 1);
  const auto loaded = find("/app.js");
  ASSERT_EQ(loaded.state, FileState::kFile);
  const auto* brotli = loaded.file->find(http::Coding::kBrotli);
  ASSERT_NE(brotli, nullptr);
  EXPECT_EQ(brotli->body, "brotli");
  EXPECT_NE(brotli->etag, loaded.file->representations.front().etag);
  EXPECT_TRUE(brotli->etag.ends_with("-br\""));
  EXPECT_EQ(loaded.file->find(http::Coding::kGzip), nullptr);
  EXPECT_EQ(loaded.file->last_modified, kLongAgo);
  EXPECT_EQ(loaded.file->last_modified_text.text(), "Sun, 13 Sep 2020 12:26:40 GMT");

  tree.modified("root/app.js.gz", kLongAgo + 1);
  wait(milliseconds(1000));
  EXPECT_NE(find("/app.js").file->find(http::Coding::kGzip), nullptr);
}

TEST_F(FileCacheTest, TwoUsesOfOneDirectoryAreTwo) {
  tree.write("root/app.js", "plain");
  tree.write("root/app.js.br", "brotli");
  const FileRoot plain(tree.path("root"), SymlinkPolicy::kWithinRoot, {});
  EXPECT_NE(find("/app.js").file->find(http::Coding::kBrotli), nullptr);
  EXPECT_EQ(cache.find(plain, "/app.js", now).file->find(http::Coding::kBrotli), nullptr);
}

TEST_F(FileCacheTest, TimesThatSayNothingGiveNoDate) {
  tree.write("root/a.txt", "x");
  tree.modified("root/a.txt", 1);
  EXPECT_FALSE(find("/a.txt").file->last_modified);
}

TEST_F(FileCacheTest, ATimeAheadIsNotSaid) {
  tree.write("root/a.txt", "x");
  tree.modified("root/a.txt", 4'000'000'000);
  const auto file = find("/a.txt").file;
  ASSERT_TRUE(file->last_modified);
  // Not time(), whose clock may still be in the second before.
  EXPECT_LE(*file->last_modified, std::chrono::system_clock::to_time_t(std::chrono::system_clock::now()));
}

TEST_F(FileCacheTest, SameTimeAndSizeButOtherBytesIsAnotherTag) {
  tree.write("root/a.txt", "version 1");
  tree.modified("root/a.txt", 1);
  const auto first = find("/a.txt").file->representations.front().etag;
  tree.write("root/a.txt", "version 2");
  tree.modified("root/a.txt", 1);
  wait(milliseconds(1000));
  EXPECT_NE(find("/a.txt").file->representations.front().etag, first);
}

TEST_F(FileCacheTest, LargeFilesKeepADescriptor) {
  tree.write("root/small.bin", std::string(kSmallFile, 's'));
  tree.write("root/large.bin", std::string(kSmallFile + 1, 'l'));
  EXPECT_TRUE(find("/small.bin").file->representations.front().in_memory);
  const auto large = find("/large.bin").file;
  EXPECT_FALSE(large->representations.front().in_memory);
  EXPECT_EQ(large->representations.front().size(), kSmallFile + 1);
  EXPECT_EQ(cache.usage().descriptors, 1u);
  cache.trim(now + FileCache::kIdleDescriptor);
  EXPECT_EQ(cache.usage().descriptors, 1u);
  cache.trim(now + FileCache::kIdleDescriptor + milliseconds(1));
  EXPECT_EQ(cache.usage().descriptors, 0u);
  EXPECT_EQ(::lseek(large->representations.front().descriptor.get(), 0, SEEK_END), static_cast<off_t>(kSmallFile + 1))
      << "closed under a response";
}

TEST_F(FileCacheTest, OnlyRegularFiles) {
  tree.directory("root");
  ASSERT_EQ(::mkfifo(tree.path("root/fifo").c_str(), 0600), 0);
  EXPECT_EQ(find("/fifo").state, FileState::kMissing);
  EXPECT_EQ(find("/").state, FileState::kDirectory);
}

TEST_F(FileCacheTest, DeniedAndEscaping) {
  tree.write("root/secret.txt", "x");
  tree.write("outside.txt", "x");
  tree.link("../outside.txt", "root/out.txt");
  tree.directory("root/closed");
  ASSERT_EQ(::chmod(tree.path("root/secret.txt").c_str(), 0), 0);
  ASSERT_EQ(::chmod(tree.path("root/closed").c_str(), 0711), 0);
  const Unprivileged somebody;
  EXPECT_EQ(find("/secret.txt").state, FileState::kDenied);
  EXPECT_EQ(find("/out.txt").state, FileState::kEscapes);
  EXPECT_EQ(find("/closed").state, FileState::kDirectory) << "may be passed through, not read";
}

TEST_F(FileCacheTest, AMissingRootIsMissingAndComesBack) {
  EXPECT_EQ(find("/a.txt").state, FileState::kMissing);
  tree.write("root/a.txt", "x");
  wait(milliseconds(1000));
  EXPECT_EQ(find("/a.txt").state, FileState::kFile);
}

TEST_F(FileCacheTest, BoundedInBytes) {
  FileCacheLimits limits;
  limits.bytes = 100'000;
  FileCache small(limits);
  for (int i = 0; i < 20; ++i) tree.write("root/" + std::to_string(i), std::string(10'000, 'x'));
  for (int i = 0; i < 20; ++i) {
    small.find(root, "/" + std::to_string(i), now);
    small.find(root, "/0", now);  // stays the most recently used
    EXPECT_LE(small.usage().bytes, limits.bytes);
  }
  EXPECT_GE(small.usage().files, 5u);
  const auto checks = small.usage().checks;
  small.find(root, "/0", now);
  small.find(root, "/19", now);
  EXPECT_EQ(small.usage().checks, checks);
  small.find(root, "/5", now);
  EXPECT_EQ(small.usage().checks, checks + 1);
}

TEST_F(FileCacheTest, BoundedInEntries) {
  FileCacheLimits limits;
  limits.files = 3;
  limits.others = 5;
  limits.descriptors = 2;
  FileCache small(limits);
  for (int i = 0; i < 10; ++i) {
    const auto name = std::to_string(i);
    tree.write("root/" + name, "x");
    tree.write("root/large" + name, std::string(kSmallFile + 1, 'x'));
    small.find(root, "/" + name, now);
    small.find(root, "/large" + name, now);
    small.find(root, "/none" + name, now);
  }
  EXPECT_LE(small.usage().files, 3u);
  EXPECT_EQ(small.usage().others, 5u);
  EXPECT_LE(small.usage().descriptors, 2u);
}

TEST_F(FileCacheTest, VeryLongPathsAreNotKept) {
  std::string deep;
  while (deep.size() <= 1024) deep += "/" + std::string(100, 'd');
  tree.write("root" + deep + "/a.txt", "deep");
  EXPECT_EQ(body(deep + "/a.txt"), "deep");
  EXPECT_EQ(find(deep + "/none").state, FileState::kMissing);
  EXPECT_EQ(find("/" + std::string(100'000, 'x')).state, FileState::kMissing);
  EXPECT_EQ(cache.usage().files + cache.usage().others, 0u);
}

TEST_F(FileCacheTest, ScansForMissingNamesDoNotDriveOutFiles) {
  FileCacheLimits limits;
  limits.others = 10;
  FileCache small(limits);
  tree.write("root/a.txt", "x");
  small.find(root, "/a.txt", now);
  for (int i = 0; i < 1000; ++i) small.find(root, "/scan" + std::to_string(i), now);
  const auto checks = small.usage().checks;
  small.find(root, "/a.txt", now);
  EXPECT_EQ(small.usage().checks, checks);
}

TEST_F(FileCacheTest, GivesBackDescriptorsWhenTheProcessRunsOut) {
  tree.write("root/a.txt", "x");
  for (int i = 0; i < 8; ++i) {
    tree.write("root/large" + std::to_string(i), std::string(kSmallFile + 1, 'x'));
    find("/large" + std::to_string(i));
  }
  ASSERT_EQ(cache.usage().descriptors, 8u);
  std::vector<UniqueFd> taken;
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit low = old;
  low.rlim_cur = 64;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  while (true) {
    UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!one) break;
    taken.push_back(std::move(one));
  }
  wait(milliseconds(1000));
  const auto state = find("/a.txt").state;
  taken.clear();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(state, FileState::kFile);
  EXPECT_EQ(cache.usage().descriptors, 0u);
}

TEST_F(FileCacheTest, WhatIsMadeOfAFileIsCountedWithIt) {
  tree.write("root/a.txt", "hello");
  const auto file = find("/a.txt").file;
  const auto before = cache.usage().bytes;
  EXPECT_EQ(file->forms.find(http::Coding::kGzip), nullptr);
  EXPECT_FALSE(file->forms.asked(http::Coding::kGzip));
  EXPECT_TRUE(file->forms.asked(http::Coding::kGzip));
  file->forms.keep(http::Coding::kGzip, std::string(5000, 'z'));
  file->forms.keep(http::Coding::kGzip, "a second one that was under way");
  cache.has_grown(*file);
  cache.has_grown(*file);
  EXPECT_GE(cache.usage().bytes, before + 5000);
  EXPECT_LE(cache.usage().bytes, before + 6000);
  ASSERT_NE(find("/a.txt").file->forms.find(http::Coding::kGzip), nullptr);
  EXPECT_EQ(find("/a.txt").file->forms.find(http::Coding::kGzip)->size(), 5000u);
  EXPECT_EQ(find("/a.txt").file->forms.find(http::Coding::kBrotli), nullptr);

  tree.write("root/a.txt", "other");
  wait(milliseconds(1000));
  EXPECT_EQ(find("/a.txt").file->forms.find(http::Coding::kGzip), nullptr);
  EXPECT_LE(cache.usage().bytes, before + 100);
  file->forms.keep(http::Coding::kBrotli, std::string(5000, 'z'));
  cache.has_grown(*file);  // it is not the cache's any more
  EXPECT_LE(cache.usage().bytes, before + 100);
}

TEST_F(FileCacheTest, GrowthMakesRoom) {
  FileCache small({.bytes = 20'000});
  tree.write("root/a.txt", "a");
  tree.write("root/b.txt", "b");
  const auto a = small.find(root, "/a.txt", now).file;
  const auto b = small.find(root, "/b.txt", now).file;
  b->forms.keep(http::Coding::kGzip, std::string(19'000, 'z'));
  small.has_grown(*b);
  EXPECT_LE(small.usage().bytes, 20'000u);
  EXPECT_EQ(small.usage().files, 1u);
  EXPECT_EQ(small.find(root, "/b.txt", now).file, b);
  EXPECT_NE(small.find(root, "/a.txt", now).file, a);
}

TEST_F(FileCacheTest, AFailureIsNotRemembered) {
  tree.write("root/a.txt", "x");
  // Before the descriptors are gone: the sanitizers need some of their own to look at a type for the first time.
  EXPECT_EQ(find("/none").state, FileState::kMissing);
  wait(milliseconds(1000));
  std::vector<UniqueFd> taken;
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit low = old;
  low.rlim_cur = 64;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
  while (true) {
    UniqueFd one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!one) break;
    taken.push_back(std::move(one));
  }
  const auto state = find("/a.txt").state;
  taken.clear();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(state, FileState::kNoDescriptors);
  EXPECT_EQ(find("/a.txt").state, FileState::kFile);
}

}  // namespace
}  // namespace headgate::proxy
