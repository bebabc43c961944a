// SPDX-License-Identifier: Apache-2.0
// Opening files below a directory so that no path leads out of it: not by "..", not by a symbolic link, not by a rename
// between a check and the opening. Blocking system calls, on the caller's thread; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/system/result.hpp>

#include "base/unique_fd.h"
#include "config/model.h"

namespace headgate::proxy {

using SymlinkPolicy = config::Static::FollowSymlinks;

enum class OpenError : std::uint8_t {
  kMissing,        ///< no such name, or nothing that could be served
  kDenied,         ///< the system's permissions
  kEscapes,        ///< a symbolic link that the policy does not follow
  kNoDescriptors,  ///< the process or the machine has no descriptor left
  kFailed,         ///< anything else: an I/O error
};

using OpenResult = boost::system::result<UniqueFd, OpenError>;

/// The directory itself, symbolic links on the way to it followed; good only as a starting point for the others.
OpenResult open_root(const std::string& directory);

enum class OpenFor : std::uint8_t {
  kReading,    ///< never blocks, not even on a FIFO
  kInspecting  ///< fstat only; needs no permission to read
};

/// The ways to resolve a path, best first. The kernel's openat2 does it in one call; where it is missing (before Linux
/// 5.6, or hidden by a container's filter) or refuses an absolute link that may well stay inside, the opened file's
/// real path under /proc is checked and opened again without links; without /proc every segment is opened by itself and
/// links are refused. Each falls back to the next; tests start further down.
enum class OpenWay : std::uint8_t { kKernel, kRealPath, kSegments };

/// `path` is decoded; slashes at its beginning are dropped, a slash at its end demands a directory, ".." segments and
/// NUL are kMissing. The result may be of any type: the caller looks.
OpenResult open_beneath(int root, std::string_view path, SymlinkPolicy symlinks, OpenFor purpose,
                        OpenWay way = OpenWay::kKernel);

}  // namespace headgate::proxy
