// SPDX-License-Identifier: Apache-2.0
// /etc/hosts: names that need no name server. hosts(5).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <sys/stat.h>

#include "base/ip.h"

namespace headgate::upstream {

/// Which version of a file one has read. Files are replaced, or written anew in place; both show.
struct FileStamp {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  timespec changed{};

  /// Empty when there is no such file.
  static std::optional<FileStamp> of(const std::string& path);
  friend bool operator==(const FileStamp& a, const FileStamp& b) {
    return a.device == b.device && a.inode == b.inode && a.size == b.size && a.changed.tv_sec == b.changed.tv_sec &&
           a.changed.tv_nsec == b.changed.tv_nsec;
  }
};

/// Read when it is asked and has changed since. One thread. A file that cannot be read is an empty one.
class HostsFile {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{4} << 20;  ///< what is beyond is not looked at, after a warning

  explicit HostsFile(std::string path) : path_(std::move(path)) {}

  /// The addresses of `name` (lower case) in the file's order, empty when it is not there. Blocks for the time of a
  /// stat(2), and of reading when the file has changed.
  const std::vector<IpAddress>& find(const std::string& name);

 private:
  void read();
  void read_line(std::string_view line);

  std::string path_;
  std::optional<FileStamp> stamp_;
  std::unordered_map<std::string, std::vector<IpAddress>> names_;
};

}  // namespace headgate::upstream
