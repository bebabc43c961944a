// SPDX-License-Identifier: Apache-2.0
#include "auth/users_file.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <map>
#include <stdexcept>
#include <system_error>

#include <sys/stat.h>

#include "auth/password_hash.h"
#include "base/log.h"

namespace headgate::auth {
namespace {

constexpr std::size_t kLargestFile = 8 * 1024 * 1024;
constexpr std::size_t kMostProblems = 20;

/// How hashes of one kind and cost begin: "$2y$10$", "$6$", "{SHA}".
std::string_view kind_of(std::string_view hash) {
  if (hash.starts_with("$2")) return hash.substr(0, 7);
  if (!hash.starts_with('$')) return "{SHA}";
  return hash.substr(0, hash.find('$', 1));
}

/// Nothing, and why in `problem`.
std::optional<std::string> read_whole(const std::string& path, std::string& problem) {
  struct stat state {};
  // Opening a pipe would wait for its writer.
  if (::stat(path.c_str(), &state) != 0) {
    problem = "cannot be read: " + std::system_category().message(errno);
    return std::nullopt;
  }
  if (!S_ISREG(state.st_mode)) {
    problem = "cannot be read: it is not a file";
    return std::nullopt;
  }
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    problem = "cannot be read: " + std::system_category().message(errno);
    return std::nullopt;
  }
  std::string text(kLargestFile + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (stream.bad()) problem = "cannot be read: " + std::system_category().message(errno);
  if (text.size() > kLargestFile) problem = "is larger than 8 MiB";
  if (!problem.empty()) return std::nullopt;
  return text;
}

/// "NAME:HASH", perhaps with more behind a further colon, which is a remark.
std::optional<std::string> problem_with_line(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return "expected NAME:HASH";
  if (colon == 0) return "expected a name before the colon";
  if (colon > kLongestUser) return "a name has at most " + std::to_string(kLongestUser) + " bytes";
  const auto name = line.substr(0, colon);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(name.begin(), name.end(), is_control)) return "a name has no control characters";
  const auto hash = line.substr(colon + 1);
  return problem_with_hash(hash.substr(0, hash.find(':')));
}

}  // namespace

const std::string* Users::find(std::string_view name) const {
  const auto found = hashes_.find(name);
  return found != hashes_.end() ? &found->second : nullptr;
}

UsersReading UsersReading::of_text(std::string_view text) {
  UsersReading reading;
  auto users = std::make_shared<Users>();
  std::map<std::string_view, std::size_t> kinds;
  std::size_t most = 0;
  for (int number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    if (auto problem = problem_with_line(line)) {
      if (reading.problems.size() < kMostProblems) reading.problems.push_back({number, *std::move(problem)});
      continue;
    }
    const auto colon = line.find(':');
    const auto rest = line.substr(colon + 1);
    const auto hash = rest.substr(0, rest.find(':'));
    if (!users->hashes_.emplace(line.substr(0, colon), hash).second) {
      if (reading.problems.size() < kMostProblems) {
        reading.problems.push_back({number, "the user '" + std::string(line.substr(0, colon)) + "' stands twice"});
      }
      continue;
    }
    if (const std::size_t count = ++kinds[kind_of(hash)]; count > most) {
      most = count;
      users->decoy_ = hash;
    }
  }
  reading.users = std::move(users);
  return reading;
}

UsersReading UsersReading::of_file(const std::string& path) {
  std::string problem;
  const auto text = read_whole(path, problem);
  if (text) return of_text(*text);
  UsersReading reading;
  reading.users = std::make_shared<Users>();
  reading.problems.push_back({0, std::move(problem)});
  return reading;
}

namespace {

std::string text_of(const std::string& path, const UsersReading::Problem& problem) {
  if (problem.line == 0) return path + " " + problem.what;
  return path + ":" + std::to_string(problem.line) + ": " + problem.what;
}

}  // namespace

UsersFile::UsersFile(std::string path) : path_(std::move(path)) {
  // Looked at before reading: a change in between is found by the next look.
  judged_ = seen_ = look();
  auto reading = UsersReading::of_file(path_);
  if (!reading.problems.empty()) throw std::runtime_error(text_of(path_, reading.problems.front()));
  users_ = std::move(reading.users);
}

std::shared_ptr<const Users> UsersFile::current() const {
  const std::lock_guard lock(mutex_);
  return users_;
}

UsersFile::Look UsersFile::look() const {
  struct stat state {};
  if (::stat(path_.c_str(), &state) != 0) return {};
  return {state.st_dev, state.st_ino, state.st_size,
          std::int64_t{state.st_mtim.tv_sec} * 1'000'000'000 + state.st_mtim.tv_nsec};
}

void UsersFile::refresh() {
  const Look now = look();
  const bool at_rest = now == seen_;
  seen_ = now;
  if (!at_rest || now == judged_) return;
  auto reading = UsersReading::of_file(path_);
  if (look() != now) return;  // it moved while we read: not at rest after all
  judged_ = now;
  if (!reading.problems.empty()) {
    log::error("users_file not reloaded, the old users stay: {}", text_of(path_, reading.problems.front()));
    return;
  }
  log::info("users_file reloaded: {}, {} users", path_, reading.users->size());
  const std::lock_guard lock(mutex_);
  users_ = std::move(reading.users);
}

}  // namespace headgate::auth
