// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/open_beneath.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <optional>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace headgate::proxy {
namespace {

constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr int kInspectFlags = O_PATH | O_CLOEXEC;

/// openat2 answers EAGAIN when a rename elsewhere could have mattered to "..": try again, not for ever.
constexpr int kAttempts = 16;

std::atomic<bool> kernel_lacks_openat2{false};

OpenError error_of(int number) {
  switch (number) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case EINVAL:  // a name that the file system cannot hold
    case EILSEQ:
    case ENXIO:  // a socket
    case ENODEV:
      return OpenError::kMissing;
    case EACCES:
    case EPERM:
      return OpenError::kDenied;
    case ELOOP:
    case EXDEV:
      return OpenError::kEscapes;
    case EMFILE:
    case ENFILE:
      return OpenError::kNoDescriptors;
    default:
      return OpenError::kFailed;
  }
}

/// A checked path: relative, without ".." segments, never empty.
struct RelativePath {
  std::string text;
  bool directory = false;  // ended in a slash
};

std::optional<RelativePath> relative(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  RelativePath result;
  while (path.ends_with('/')) {
    path.remove_suffix(1);
    result.directory = true;
  }
  if (path.find('\0') != std::string_view::npos) return std::nullopt;
  for (std::string_view rest = path; !rest.empty();) {
    const auto slash = rest.find('/');
    if (rest.substr(0, slash) == "..") return std::nullopt;
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  result.text = path.empty() ? std::string_view(".") : path;
  return result;
}

/// The descriptor, or -errno.
int kernel_open(int root, const std::string& path, int flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags);
  how.resolve = resolve;
  for (int attempt = 0;; ++attempt) {
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if ((errno == EAGAIN || errno == EINTR) && attempt < kAttempts) continue;
    return -errno;
  }
}

OpenResult plain_open(int root, const std::string& path, int flags) {
  int fd = -1;
  do fd = ::openat(root, path.c_str(), flags);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) return error_of(errno);
  return UniqueFd(fd);
}

/// Each segment by itself; a symbolic link anywhere ends it.
OpenResult open_by_segments(int root, const std::string& path, int flags) {
  UniqueFd held;
  int directory = root;
  for (std::string_view rest = path;;) {
    while (rest.starts_with('/')) rest.remove_prefix(1);
    const auto slash = rest.find('/');
    const std::string segment(rest.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    const int segment_flags = last ? flags : kInspectFlags | O_DIRECTORY;
    auto opened = plain_open(directory, segment, segment_flags | O_NOFOLLOW);
    struct stat info {};
    const bool link = ::fstatat(directory, segment.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
    if (!opened) return link ? OpenError::kEscapes : opened.error();
    // O_PATH opens a link as itself.
    if (last && ::fstat(opened->get(), &info) == 0 && S_ISLNK(info.st_mode)) return OpenError::kEscapes;
    if (last) return opened;
    held = std::move(*opened);
    directory = held.get();
    rest.remove_prefix(slash + 1);
  }
}

OpenResult open_without_links(int root, const std::string& path, int flags, OpenWay way) {
  if (way == OpenWay::kKernel && !kernel_lacks_openat2.load(std::memory_order_relaxed)) {
    const int fd = kernel_open(root, path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (fd >= 0) return UniqueFd(fd);
    if (fd == -ENOSYS) kernel_lacks_openat2.store(true, std::memory_order_relaxed);
    if (fd != -ENOSYS && fd != -EPERM) return error_of(-fd);
  }
  return open_by_segments(root, path, flags);
}

/// Where an open descriptor's file really is; nullopt without /proc.
std::optional<std::string> real_path(int fd) {
  std::array<char, 32> link{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  std::array<char, PATH_MAX> target{};
  const auto length = ::readlink(link.data(), target.data(), target.size());
  if (length <= 0 || static_cast<std::size_t>(length) >= target.size() || target[0] != '/') return std::nullopt;
  return std::string(target.data(), static_cast<std::size_t>(length));
}

/// Follows links with a descriptor that cannot read, looks where it came out, and opens that place anew without links.
OpenResult open_by_real_path(int root, const std::string& path, int flags, OpenWay way) {
  auto found = plain_open(root, path, kInspectFlags | (flags & O_DIRECTORY));
  if (!found) return found.error();
  auto root_path = real_path(root);
  const auto file_path = real_path(found->get());
  if (!root_path || !file_path) return open_by_segments(root, path, flags);
  if (*file_path == *root_path) return open_without_links(root, ".", flags, way);
  if (!root_path->ends_with('/')) *root_path += '/';
  if (!file_path->starts_with(*root_path)) return OpenError::kEscapes;
  return open_without_links(root, file_path->substr(root_path->size()), flags, way);
}

OpenResult open_within(int root, const std::string& path, int flags, OpenWay way) {
  if (way == OpenWay::kKernel && !kernel_lacks_openat2.load(std::memory_order_relaxed)) {
    const int fd = kernel_open(root, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    if (fd >= 0) return UniqueFd(fd);
    if (fd == -ENOSYS) kernel_lacks_openat2.store(true, std::memory_order_relaxed);
    // EXDEV: out of the root, or an absolute link that may lead back into it.
    if (fd != -ENOSYS && fd != -EPERM && fd != -EXDEV) return error_of(-fd);
  }
  if (way == OpenWay::kSegments) return open_by_segments(root, path, flags);
  return open_by_real_path(root, path, flags, way);
}

}  // namespace

OpenResult open_root(const std::string& directory) {
  return plain_open(AT_FDCWD, directory, kInspectFlags | O_DIRECTORY);
}

OpenResult open_beneath(int root, std::string_view path, SymlinkPolicy symlinks, OpenFor purpose, OpenWay way) {
  const auto wanted = relative(path);
  if (!wanted) return OpenError::kMissing;
  const int flags = (purpose == OpenFor::kReading ? kReadFlags : kInspectFlags) | (wanted->directory ? O_DIRECTORY : 0);
  switch (symlinks) {
    case SymlinkPolicy::kAlways:
      return plain_open(root, wanted->text, flags);
    case SymlinkPolicy::kNever:
      return open_without_links(root, wanted->text, flags, way);
    case SymlinkPolicy::kWithinRoot:
      break;
  }
  return open_within(root, wanted->text, flags, way);
}

}  // namespace headgate::proxy
