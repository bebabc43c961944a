// SPDX-License-Identifier: Apache-2.0
// A file of users and the hashes of their passwords, as htpasswd writes it: "NAME:HASH" in each line; empty lines and
// those that begin with "#" mean nothing. Read at the start, and again when it has changed.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace headgate::auth {

inline constexpr std::size_t kLongestUser = 256;

/// What one reading came to. Immutable.
class Users {
 public:
  /// The hash of the user's password; null: there is no such user.
  const std::string* find(std::string_view name) const;

  /// What the password of an unknown user is compared with, so that it takes as long as that of a known one: a hash of
  /// the kind that most of the file's are. Null: the file has no users.
  const std::string* decoy() const { return decoy_.empty() ? nullptr : &decoy_; }

  std::size_t size() const { return hashes_.size(); }

 private:
  friend struct UsersReading;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> hashes_;
  std::string decoy_;
};

/// A file read: its users, and each line that is wrong. Never throws for what the file holds.
struct UsersReading {
  struct Problem {
    int line;  ///< 0: the whole file
    std::string what;
  };
  std::shared_ptr<const Users> users;
  std::vector<Problem> problems;

  static UsersReading of_text(std::string_view text);
  static UsersReading of_file(const std::string& path);
};

/// Any thread, except refresh().
class UsersFile {
 public:
  /// Throws std::runtime_error: "PATH:LINE: what is wrong".
  explicit UsersFile(std::string path);
  UsersFile(const UsersFile&) = delete;
  UsersFile& operator=(const UsersFile&) = delete;

  const std::string& path() const { return path_; }
  std::shared_ptr<const Users> current() const;

  /// Looks at the file once: when it has changed, and has stayed the same since the last look, it is read; one with a
  /// mistake in it is refused with one log line, and what was read before stays. One thread at a time.
  void refresh();

 private:
  /// What tells two states of a file apart.
  struct Look {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;  // -1: it is not there
    std::int64_t changed_ns = 0;
    friend bool operator==(const Look&, const Look&) = default;
  };
  Look look() const;

  const std::string path_;
  Look judged_;
  Look seen_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Users> users_;
};

}  // namespace headgate::auth
