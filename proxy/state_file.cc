// SPDX-License-Identifier: Apache-2.0
#include "proxy/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "base/log.h"
#include "base/unique_fd.h"

namespace headgate::proxy {
namespace {

constexpr std::size_t kMostBytes = 16 * 1024 * 1024;

bool write_whole(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return ::fsync(fd) == 0;
}

}  // namespace

bool save_privately(const std::filesystem::path& file, std::string_view bytes) {
  const std::string beside = file.string() + ".new";
  bool saved = false;
  {
    ::unlink(beside.c_str());
    const UniqueFd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    saved = fd && write_whole(fd.get(), bytes);
  }
  saved = saved && std::rename(beside.c_str(), file.c_str()) == 0;
  if (!saved) log::warn("{}: cannot be written: {}", file.string(), std::generic_category().message(errno));
  return saved;
}

std::optional<std::string> load_file(const std::filesystem::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  std::string bytes;
  char piece[4096];
  for (;;) {
    const ssize_t n = ::read(fd.get(), piece, sizeof piece);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 || bytes.size() > kMostBytes) return std::nullopt;
    if (n == 0) return bytes;
    bytes.append(piece, static_cast<std::size_t>(n));
  }
}

}  // namespace headgate::proxy
