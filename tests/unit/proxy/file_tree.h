// SPDX-License-Identifier: Apache-2.0
// A directory of its own for a test, with real files; gone when the test ends.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace headgate::proxy {

class FileTree {
 public:
  FileTree() {
    std::string pattern = (std::filesystem::temp_directory_path() / "headgate-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    ::chmod(pattern.c_str(), 0755);
    top_ = pattern;
  }
  FileTree(const FileTree&) = delete;
  FileTree& operator=(const FileTree&) = delete;
  ~FileTree() {
    std::error_code ignored;
    std::filesystem::remove_all(top_, ignored);
  }

  std::string path(std::string_view name = {}) const { return name.empty() ? top_.string() : (top_ / name).string(); }

  void write(std::string_view name, std::string_view content) const {
    std::filesystem::create_directories((top_ / name).parent_path());
    std::ofstream file(top_ / name, std::ios::binary | std::ios::trunc);
    file << content;
  }
  void directory(std::string_view name) const { std::filesystem::create_directories(top_ / name); }
  void link(std::string_view target, std::string_view name) const {
    std::filesystem::create_directories((top_ / name).parent_path());
    std::filesystem::create_symlink(target, top_ / name);
  }
  void remove(std::string_view name) const { std::filesystem::remove_all(top_ / name); }

  /// Sets the modification time, in Unix seconds.
  void modified(std::string_view name, std::int64_t seconds) const {
    const timespec times[2] = {{seconds, 0}, {seconds, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path(name).c_str(), times, 0), 0);
  }

 private:
  std::filesystem::path top_;
};

/// File permissions mean nothing to root: while this lives, the process is somebody else.
class Unprivileged {
 public:
  Unprivileged() : was_root_(::geteuid() == 0) {
    if (was_root_ && ::seteuid(65534) != 0) throw std::runtime_error("seteuid");
  }
  ~Unprivileged() {
    if (was_root_ && ::seteuid(0) != 0) std::abort();
  }

 private:
  bool was_root_;
};

}  // namespace headgate::proxy
