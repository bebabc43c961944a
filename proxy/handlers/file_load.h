// SPDX-License-Identifier: Apache-2.0
// From the disk into a CachedFile. Blocking system calls; small files are read whole (they are in the page cache or
// soon will be), of large ones only the descriptor is kept. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/handlers/cached_file.h"
#include "proxy/handlers/open_beneath.h"

namespace headgate::proxy {

/// Up to this size a file is kept in memory.
inline constexpr std::uint64_t kSmallFile = 256 * 1024;

/// A directory that is served, and how. Immutable; part of a route.
struct FileRoot {
  /// `pool`: its name, where several such directories hold what goes by the same paths.
  FileRoot(std::string directory, SymlinkPolicy symlinks, std::vector<http::Coding> codings,
           std::string_view pool = {});
  std::string directory;
  SymlinkPolicy symlinks;
  std::vector<http::Coding> codings;  ///< of precompressed siblings, in order of preference
  std::uint8_t variant = 0;           ///< symlinks and codings in a byte: what tells two uses of one directory apart
  std::uint64_t tag_salt = 0;  ///< goes into tags that are not made of the content: of the pool's name; 0: no pool
  std::size_t hash = 0;
};

enum class FileState : std::uint8_t {
  kFile,
  kDirectory,
  kMissing,
  kDenied,         ///< the system's permissions: 403
  kEscapes,        ///< a symbolic link out of the root: 403
  kNoDescriptors,  ///< 500, unless closing some helps
  kFailed,         ///< an I/O error: 500
};

struct Loaded {
  FileState state = FileState::kMissing;
  FileRef file;  ///< set for kFile; `previous` itself when nothing has changed
};

/// `root_descriptor` is of open_root(root.directory). `previous` may be null.
Loaded load_file(int root_descriptor, const FileRoot& root, std::string_view path, const FileRef& previous);

FileState state_of(OpenError error);

}  // namespace headgate::proxy
