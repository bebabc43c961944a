// SPDX-License-Identifier: Apache-2.0
// FileCache: what a worker knows of the files it serves. A hit costs one hash lookup: no system call, no allocation.
//
// One per worker, on its loop's thread only; it outlives generations, so that a reload does not empty it. Everything it
// says is at most one second old: a changed file, a new one, a switched root (`dist` -> `releases/42`) are seen within
// that time. A name that is asked for the first time is never missing because of an old root: a page of the new release
// may have come from another worker. Bounded in bytes, entries and descriptors; the least recently used goes first.
// What a response is using stays alive through its FileRef.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "proxy/handlers/cached_file.h"
#include "proxy/handlers/file_load.h"
#include "proxy/handlers/open_beneath.h"

namespace headgate::proxy {

struct FileCacheLimits {
  std::size_t bytes = 64 * 1024 * 1024;  ///< of file contents and what belongs to them
  std::size_t files = 16'384;            ///< entries of files
  std::size_t others = 4'096;            ///< entries of names that are directories, missing or denied
  std::size_t descriptors = 128;         ///< of large files
};

class FileCache {
 public:
  explicit FileCache(FileCacheLimits limits);
  FileCache() : FileCache(FileCacheLimits{}) {}
  ~FileCache();
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;

  /// How old an answer may be. The root's descriptor may be as old as the second part when an entry is checked through
  /// it, so the two together make one second.
  static constexpr Duration kEntryLife = std::chrono::milliseconds(800);
  static constexpr Duration kRootLife = std::chrono::milliseconds(200);
  /// Large files that nobody has asked for during this time are closed by trim().
  static constexpr Duration kIdleDescriptor = std::chrono::seconds(10);

  /// What is at `path` (decoded, with a leading slash) below `root`. `now` is the loop's.
  Loaded find(const FileRoot& root, std::string_view path, TimePoint now);

  /// A directory, opened for reading its names; not cached.
  OpenResult open_directory(const FileRoot& root, std::string_view path, TimePoint now);

  /// A file that this cache gave out holds more than before.
  void has_grown(const CachedFile& file);

  /// Closes what has been idle, so that deleted releases free their space and file systems can be unmounted. To be
  /// called about once a second; nothing breaks when it is not.
  void trim(TimePoint now);

  /// A string to build paths in without an allocation each time; its content is nobody's after a return to the loop.
  std::string& scratch();

  struct Usage {
    std::size_t bytes = 0;
    std::size_t files = 0;
    std::size_t others = 0;
    std::size_t descriptors = 0;
    std::uint64_t hits = 0;
    std::uint64_t checks = 0;  ///< looked at the disk
  };
  const Usage& usage() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace headgate::proxy
