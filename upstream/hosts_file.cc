// SPDX-License-Identifier: Apache-2.0
#include "upstream/hosts_file.h"

#include <algorithm>
#include <fstream>

#include "base/log.h"

namespace headgate::upstream {
namespace {

constexpr std::string_view kBlank = " \t\r";

// The next word of `line`, which is shortened by it; empty at the end.
std::string_view next_word(std::string_view& line) {
  const auto begin = std::min(line.find_first_not_of(kBlank), line.size());
  const auto end = std::min(line.find_first_of(kBlank, begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

}  // namespace

std::optional<FileStamp> FileStamp::of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileStamp{status.st_dev, status.st_ino, status.st_size, status.st_ctim};
}

const std::vector<IpAddress>& HostsFile::find(const std::string& name) {
  static const std::vector<IpAddress> kNone;
  const auto stamp = FileStamp::of(path_);
  if (stamp != stamp_) {
    // The stamp is from before the reading: what is written meanwhile is seen the next time.
    stamp_ = stamp;
    read();
  }
  const auto found = names_.find(name);
  return found == names_.end() ? kNone : found->second;
}

void HostsFile::read() {
  names_.clear();
  std::ifstream stream(path_, std::ios::binary);
  if (!stream) return;
  std::string text(kMaxBytes, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() == kMaxBytes) {
    log::warn("{}: only the first {} bytes are looked at", path_, kMaxBytes);
    text.resize(text.rfind('\n') + 1);  // npos + 1: a file of one line without an end, which is none
  }
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    read_line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

void HostsFile::read_line(std::string_view line) {
  line = line.substr(0, line.find('#'));
  const auto address = IpAddress::parse(next_word(line));
  if (!address) return;  // also one with a zone: it would need an interface
  for (auto name = next_word(line); !name.empty(); name = next_word(line)) names_[lower(name)].push_back(*address);
}

}  // namespace headgate::upstream
