// SPDX-License-Identifier: Apache-2.0
#include "config/load.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "config/availability.h"
#include "config/sections.h"

namespace headgate::config {
namespace {

constexpr std::uint64_t kMaxFileSize = 16 * kMiB;
constexpr std::streamsize kReadStep = 64 * 1024;

// The text of a file; nothing, and the reason in `problem`.
std::optional<std::string> read_whole(const std::string& path, std::string& problem) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    problem = "cannot be read: it is a directory";
    return std::nullopt;
  }
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    problem = "cannot be read: " + std::system_category().message(errno);
    return std::nullopt;
  }
  std::string text;
  while (stream && text.size() <= kMaxFileSize) {  // a pipe has no size to ask for
    const std::size_t size = text.size();
    text.resize(size + kReadStep);
    stream.read(text.data() + size, kReadStep);
    text.resize(size + static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.bad()) {
    problem = "cannot be read: " + std::system_category().message(errno);
    return std::nullopt;
  }
  return text;
}

NodePtr parse_bounded(const std::string& text, const std::string& file, Loaded& out) {
  if (text.size() > kMaxFileSize) {
    out.errors.push_back({{file, 0, 0}, "expected a file of at most " + size_text(kMaxFileSize)});
    return nullptr;
  }
  return parse_document(text, file, out.errors);
}

void sort_list(std::vector<Diagnostic>& diagnostics, const std::vector<std::string>& files) {
  std::map<std::string_view, std::size_t> order;
  for (const std::string& file : files) order.emplace(file, order.size());
  std::stable_sort(diagnostics.begin(), diagnostics.end(), [&](const Diagnostic& a, const Diagnostic& b) {
    const auto key = [&](const Diagnostic& each) {
      const auto found = order.find(each.where.file.text());
      return std::tuple(found == order.end() ? files.size() : found->second, each.where.line, each.where.column);
    };
    return key(a) < key(b);
  });
}

void load_included(const std::string& file, const Environment& environment, const Checks& checks, Loaded& out,
                   Pending& pending) {
  out.config.files.push_back(file);
  std::string problem;
  const auto text = read_whole(file, problem);
  if (!text) {
    out.errors.push_back({{file, 0, 0}, problem});
    return;
  }
  const NodePtr root = parse_bounded(*text, file, out);
  if (root == nullptr) return;
  Reader reader(file, environment, checks, out, pending);
  read_included(reader, *root);
  find_unavailable(*root, file, environment, out.not_available);
}

}  // namespace

void sort_by_place(Loaded& loaded) {
  for (auto* list : {&loaded.errors, &loaded.not_available, &loaded.warnings}) sort_list(*list, loaded.config.files);
}

Loaded load_text(const std::string& text, const std::string& name, const Environment& environment,
                 const Checks& checks) {
  Loaded out;
  Pending pending;
  out.config.files.push_back(name);
  const NodePtr root = parse_bounded(text, name, out);
  if (root == nullptr) return out;
  Reader reader(name, environment, checks, out, pending);
  read_main(reader, *root);
  find_unavailable(*root, name, environment, out.not_available);
  for (const std::string& file : included_files(reader, *root)) {
    load_included(file, environment, checks, out, pending);
  }
  validate(out, pending);
  sort_by_place(out);
  return out;
}

Loaded load_file(const std::string& path, const Environment& environment, const Checks& checks) {
  std::string problem;
  const auto text = read_whole(path, problem);
  if (text) return load_text(*text, path, environment, checks);
  Loaded out;
  out.config.files.push_back(path);
  out.errors.push_back({{path, 0, 0}, problem});
  return out;
}

}  // namespace headgate::config
