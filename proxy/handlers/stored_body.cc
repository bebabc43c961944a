// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/stored_body.h"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace headgate::proxy {
namespace {

/// Of a client that sends as fast as we take, in one turn of the loop: about a tenth of a millisecond.
constexpr unsigned kPiecesPerTurn = 8;

Error file_error(int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  Error failure = full ? StoredBody::kDiskFull : StoredBody::kFileFailed;
  failure.sys = error;
  return failure;
}

/// Not every file system makes files without a name: then its name lives for a moment.
int make_file(const std::string& directory) {
  const int unnamed = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
  if (unnamed >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return unnamed;
  std::string name = directory + "/.body-XXXXXX";
  const int named = ::mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) ::unlink(name.c_str());
  return named;
}

}  // namespace

Result<> StoredBody::add(std::span<const char> piece) {
  if (!budget_.take(piece.size(), rules_.budget)) return kBudgetSpent;
  size_ += piece.size();
  if (!file_ && size_ <= rules_.memory) {
    memory_.append({piece.data(), piece.size()});
    return {};
  }
  if (!file_) {
    if (const auto opened = open_file(); !opened) return opened;
  }
  return write_file(piece);
}

Result<> StoredBody::open_file() {
  file_ = UniqueFd(make_file(rules_.directory));
  if (!file_) return file_error(errno);
  const auto moved = write_file(bytes());
  memory_.clear();
  return moved;
}

Result<> StoredBody::write_file(std::span<const char> piece) {
  while (!piece.empty()) {
    const ssize_t put = ::pwrite(file_.get(), piece.data(), piece.size(), static_cast<off_t>(in_file_));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return file_error(put < 0 ? errno : ENOSPC);
    in_file_ += static_cast<std::uint64_t>(put);
    piece = piece.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Result<std::span<const char>> StoredBody::read(std::uint64_t offset, std::span<char> into) const {
  for (;;) {
    const ssize_t got = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return file_error(got < 0 ? errno : EIO);
    return std::span<const char>(into.data(), static_cast<std::size_t>(got));
  }
}

void StoredBody::drop() {
  budget_.give(std::exchange(size_, 0));
  in_file_ = 0;
  memory_.clear();
  file_.reset();
}

Task<Result<>> take_body(http::Exchange& exchange, StoredBody& body) {
  for (unsigned pieces = 1; !exchange.body_finished(); ++pieces) {
    const auto piece = co_await exchange.read_body();
    if (!piece) co_return piece.error();
    const auto kept = body.add(*piece);
    if (!kept) co_return kept.error();
    if (pieces % kPiecesPerTurn == 0) co_await exchange.loop().yield();
  }
  co_return Result<>();
}

}  // namespace headgate::proxy
