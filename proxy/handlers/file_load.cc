// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/file_load.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>

#include <fcntl.h>
#include <unistd.h>

#include "base/hash.h"
#include "http/content_type.h"

namespace headgate::proxy {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

/// Within this time after a change, another one may leave the same time stamp: file systems count in ticks, old ones in
/// two whole seconds.
constexpr std::int64_t kSettleTime = 2 * kSecond;

/// Build systems that want the same bytes each time set all times to 0, to 1 or to 1980: that date says nothing about
/// the age of a file, and browsers would guess a freshness of years from it.
constexpr std::int64_t kFirstCredibleTime = 347'155'200;  // 1981-01-01

/// Attempts to read a file that changes meanwhile.
constexpr int kReadAttempts = 3;

std::string_view suffix_of(http::Coding coding) {
  switch (coding) {
    case http::Coding::kBrotli:
      return ".br";
    case http::Coding::kGzip:
      return ".gz";
    case http::Coding::kZstd:
      return ".zst";
    case http::Coding::kIdentity:
      break;
  }
  return "";
}

std::int64_t wall_time() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * kSecond + now.tv_nsec;
}

/// Not against an adversary, who could only forge tags of his own files: one multiplication for each 8 bytes.
std::uint64_t content_hash(std::string_view bytes) {
  __extension__ using Wide = unsigned __int128;
  constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15;
  const auto mix = [](std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  std::uint64_t hash = 0x2545f4914f6cdd1d ^ bytes.size();
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const auto count = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), count);
    bytes.remove_prefix(count);
    hash = mix(hash ^ word, kFactor) + word;
  }
  return mix(hash, kFactor ^ 0xd6e8feb86659fd93);
}

/// Of a file in memory the tag is a hash of the bytes: the same on every machine, and different whenever they differ,
/// even where the build gives all files the same time and two versions have the same size. Of a large one it is time
/// and size, with inode and change time where the time is no real one, and with the pool's name: builds that can be
/// repeated give all files one time.
std::string make_etag(const Representation& one, std::uint64_t salt) {
  std::uint64_t identity = 0;
  if (one.in_memory) {
    identity = content_hash(one.body);
  } else {
    identity = static_cast<std::uint64_t>(one.stamp.modified) ^ salt;
    if (one.stamp.modified < kFirstCredibleTime * kSecond) {
      identity ^= static_cast<std::uint64_t>(one.stamp.changed) ^ (one.stamp.inode << 32);
    }
  }
  std::array<char, 64> text{};
  const auto coding = http::to_string(one.coding);
  const bool plain = one.coding == http::Coding::kIdentity;
  const int length =
      std::snprintf(text.data(), text.size(), "\"%llx-%llx%s%.*s\"", static_cast<unsigned long long>(identity),
                    static_cast<unsigned long long>(one.size()), plain ? "" : "-",
                    plain ? 0 : static_cast<int>(coding.size()), coding.data());
  return {text.data(), static_cast<std::size_t>(length)};
}

enum class ReadOutcome { kDone, kChanged, kFailed };

/// Reads the whole file; kChanged when it is not, or no longer, the one that `one.stamp` describes.
ReadOutcome read_whole(Representation& one) {
  one.body.resize(one.stamp.size);
  std::size_t done = 0;
  while (done < one.body.size()) {
    const auto count =
        ::pread(one.descriptor.get(), one.body.data() + done, one.body.size() - done, static_cast<off_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ReadOutcome::kFailed;
    if (count == 0) return ReadOutcome::kChanged;
    done += static_cast<std::size_t>(count);
  }
  struct stat after {};
  if (::fstat(one.descriptor.get(), &after) != 0) return ReadOutcome::kFailed;
  return FileStamp(after) == one.stamp ? ReadOutcome::kDone : ReadOutcome::kChanged;
}

/// Fills body or keeps the descriptor, and makes the tag. False: an I/O error.
bool take_content(Representation& one, std::uint64_t salt) {
  for (int attempt = 0; attempt < kReadAttempts && one.stamp.size <= kSmallFile; ++attempt) {
    const auto outcome = read_whole(one);
    if (outcome == ReadOutcome::kFailed) return false;
    if (outcome == ReadOutcome::kDone) {
      one.in_memory = true;
      one.descriptor.reset();
      break;
    }
    struct stat info {};
    if (::fstat(one.descriptor.get(), &info) != 0) return false;
    one.stamp = FileStamp(info);
  }
  if (!one.in_memory) one.body = {};  // large, or somebody is writing it all the time: sent from the descriptor
  one.etag = make_etag(one, salt);
  return true;
}

/// What is on the disk, opened but not read.
struct OnDisk {
  FileState state = FileState::kMissing;
  boost::container::static_vector<Representation, http::kCodingCount> representations;
};

/// Opens one regular file for reading. kDirectory also for a directory that may be passed but not read.
FileState open_regular(int root, std::string_view path, SymlinkPolicy symlinks, Representation& out) {
  auto opened = open_beneath(root, path, symlinks, OpenFor::kReading);
  if (!opened && opened.error() == OpenError::kDenied) {
    auto inspected = open_beneath(root, path, symlinks, OpenFor::kInspecting);
    struct stat info {};
    const bool directory = inspected && ::fstat(inspected->get(), &info) == 0 && S_ISDIR(info.st_mode);
    return directory ? FileState::kDirectory : FileState::kDenied;
  }
  if (!opened) return state_of(opened.error());
  struct stat info {};
  if (::fstat(opened->get(), &info) != 0) return FileState::kFailed;
  if (S_ISDIR(info.st_mode)) return FileState::kDirectory;
  if (!S_ISREG(info.st_mode)) return FileState::kMissing;
  out.stamp = FileStamp(info);
  out.descriptor = std::move(*opened);
  return FileState::kFile;
}

OnDisk look(int root_descriptor, const FileRoot& root, std::string_view path) {
  OnDisk result;
  Representation plain;
  result.state = open_regular(root_descriptor, path, root.symlinks, plain);
  if (result.state != FileState::kFile) return result;
  const auto modified = plain.stamp.modified;
  result.representations.push_back(std::move(plain));
  std::string sibling_path;
  for (const auto coding : root.codings) {
    sibling_path = path;
    sibling_path += suffix_of(coding);
    Representation sibling;
    sibling.coding = coding;
    const auto state = open_regular(root_descriptor, sibling_path, root.symlinks, sibling);
    if (state == FileState::kNoDescriptors) {
      result.state = state;
      return result;
    }
    // An older sibling was made from an older file: somebody edited the one and forgot the other.
    if (state == FileState::kFile && sibling.stamp.modified >= modified) {
      result.representations.push_back(std::move(sibling));
    }
  }
  return result;
}

bool unchanged(const OnDisk& disk, const CachedFile& previous) {
  return previous.settled &&
         std::equal(disk.representations.begin(), disk.representations.end(), previous.representations.begin(),
                    previous.representations.end(), [](const Representation& a, const Representation& b) {
                      return a.coding == b.coding && a.stamp == b.stamp;
                    });
}

}  // namespace

FileRoot::FileRoot(std::string directory_path, SymlinkPolicy symlink_policy, std::vector<http::Coding> coding_list,
                   std::string_view pool)
    : directory(std::move(directory_path)), symlinks(symlink_policy), codings(std::move(coding_list)) {
  variant = static_cast<std::uint8_t>(symlinks);
  for (const auto coding : codings) variant |= static_cast<std::uint8_t>(4u << static_cast<unsigned>(coding));
  // The same on every machine, as tags should be.
  if (!pool.empty()) tag_salt = KeyedHash("headgate static pool").of(pool);
  hash = std::hash<std::string_view>{}(directory)*31 + variant + tag_salt;
}

FileStamp::FileStamp(const struct stat& info)
    : device(info.st_dev),
      inode(info.st_ino),
      size(static_cast<std::uint64_t>(info.st_size)),
      modified(info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec),
      changed(info.st_ctim.tv_sec * kSecond + info.st_ctim.tv_nsec) {}

std::size_t CachedFile::memory() const {
  std::size_t bytes = sizeof(CachedFile) + path.capacity() + forms.memory();
  for (const auto& one : representations) bytes += one.body.capacity() + one.etag.capacity();
  return bytes;
}

std::size_t CachedFile::descriptors() const {
  std::size_t count = 0;
  for (const auto& one : representations) count += one.descriptor ? 1 : 0;
  return count;
}

FileState state_of(OpenError error) {
  switch (error) {
    case OpenError::kMissing:
      return FileState::kMissing;
    case OpenError::kDenied:
      return FileState::kDenied;
    case OpenError::kEscapes:
      return FileState::kEscapes;
    case OpenError::kNoDescriptors:
      return FileState::kNoDescriptors;
    case OpenError::kFailed:
      break;
  }
  return FileState::kFailed;
}

Loaded load_file(int root_descriptor, const FileRoot& root, std::string_view path, const FileRef& previous) {
  auto disk = look(root_descriptor, root, path);
  if (disk.state != FileState::kFile) return {disk.state, nullptr};
  if (previous && unchanged(disk, *previous)) return {FileState::kFile, previous};

  const auto now = wall_time();
  boost::intrusive_ptr<CachedFile> file(new CachedFile);
  file->path = path;
  file->content_type = http::content_type_of(path);
  for (auto& one : disk.representations) {
    if (!take_content(one, root.tag_salt)) return {FileState::kFailed, nullptr};
    if (one.stamp.changed > now - kSettleTime) file->settled = false;
    file->representations.push_back(std::move(one));
  }
  // Never later than the moment of the answer (RFC 9110 section 8.8.2.1).
  const auto modified = std::min(file->representations.front().stamp.modified, now) / kSecond;
  if (modified >= kFirstCredibleTime) {
    file->last_modified = modified;
    file->last_modified_text = http::HttpDate(modified);
  }
  return {FileState::kFile, std::move(file)};
}

}  // namespace headgate::proxy
