// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>

#include <glob.h>

#include "config/sections.h"

namespace headgate::config {
namespace {

constexpr std::size_t kMostFiles = 10'000;

// In the order of their names, as glob(3) sorts them.
std::vector<std::string> matches(const std::string& pattern) {
  std::vector<std::string> paths;
  ::glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  }
  ::globfree(&found);
  return paths;
}

}  // namespace

std::vector<std::string> included_files(Reader& reader, const Node& root) {
  std::vector<std::string> files;
  const Node* node = root.kind == Node::Kind::kMap ? root.find("include") : nullptr;
  if (node == nullptr) return files;
  std::error_code ignored;
  const std::string self = std::filesystem::weakly_canonical(reader.file(), ignored).string();
  std::size_t index = 0;
  for (const Node* item : reader.elements(*node, "include", "a list of file patterns")) {
    const std::string at = element("include", index++);
    const auto pattern = reader.text(*item, at, TextRule::kFile, "a file pattern such as conf.d/*.yaml");
    if (!pattern || pattern->empty()) continue;
    const auto paths = matches(*pattern);
    // A folder may well be empty, but a name without a star is meant.
    if (paths.empty() && pattern->find_first_of("*?[") == std::string::npos) {
      reader.error(*item, at + ": no such file: " + *pattern);
    }
    for (const std::string& path : paths) {
      if (std::filesystem::weakly_canonical(path, ignored).string() == self)
        continue;  // conf.d/*.yaml in conf.d itself
      if (std::find(files.begin(), files.end(), path) == files.end()) files.push_back(path);
    }
    if (files.size() > kMostFiles) {
      reader.error(*item, at + ": expected at most " + std::to_string(kMostFiles) + " files");
      files.clear();
      break;
    }
  }
  return files;
}

}  // namespace headgate::config
