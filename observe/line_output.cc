// SPDX-License-Identifier: Apache-2.0
#include "observe/line_output.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace headgate::observe {
namespace {

bool never_blocks(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

/// What one write may carry without blocking on a pipe that poll(2) called writable: PIPE_BUF bytes, cut behind a line
/// where there is one, since others may write to the same pipe.
std::size_t page_of_lines(const iovec& piece) {
  if (piece.iov_len <= PIPE_BUF) return piece.iov_len;
  const std::string_view page(static_cast<const char*>(piece.iov_base), PIPE_BUF);
  const auto end = page.rfind('\n');
  return end == std::string_view::npos ? page.size() : end + 1;
}

}  // namespace

LineOutput::LineOutput(std::string target) {
  if (target == "stdout" || target == "stderr") {
    fd_ = target == "stdout" ? STDOUT_FILENO : STDERR_FILENO;
    never_blocks_ = never_blocks(fd_);
    return;
  }
  path_ = std::move(target);
  replace(open());
}

UniqueFd LineOutput::open() const {
  // Non-blocking for the sake of a FIFO without a reader, which would hold up the start.
  UniqueFd fd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
  if (!fd) throw std::system_error(errno, std::generic_category(), path_);
  return fd;
}

void LineOutput::replace(UniqueFd fd) {
  owned_ = std::move(fd);
  fd_ = owned_.get();
  never_blocks_ = never_blocks(fd_);
}

bool LineOutput::wait_for_room(std::chrono::milliseconds wait) const {
  pollfd event{fd_, POLLOUT, 0};
  // A reader that is gone shows as POLLERR: the write then says so.
  return ::poll(&event, 1, static_cast<int>(wait.count())) > 0;
}

LineOutput::Outcome LineOutput::write_some(std::span<const iovec> pieces, std::chrono::milliseconds wait,
                                           std::size_t& written) {
  written = 0;
  if (!never_blocks_ && !wait_for_room(wait)) return Outcome::kNotNow;
  ssize_t n;
  do {
    n = never_blocks_ ? ::writev(fd_, pieces.data(), static_cast<int>(std::min<std::size_t>(pieces.size(), IOV_MAX)))
                      : ::write(fd_, pieces[0].iov_base, page_of_lines(pieces[0]));
  } while (n < 0 && errno == EINTR);
  if (n >= 0) {
    written = static_cast<std::size_t>(n);
    return Outcome::kWritten;
  }
  return errno == EAGAIN ? Outcome::kNotNow : Outcome::kFailed;
}

}  // namespace headgate::observe
