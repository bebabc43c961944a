// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/directory_listing.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <tuple>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "http/date.h"
#include "http/path.h"

namespace headgate::proxy {
namespace {

struct Item {
  std::string name;
  bool directory = false;
  std::uint64_t size = 0;
  std::int64_t modified = 0;
};

void append_escaped(std::string_view text, std::string& out) {
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
}

struct Listing {
  std::vector<Item> items;
  bool cut = false;
  bool failed = false;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

Listing read_items(UniqueFd directory, bool hidden) {
  Listing result;
  std::unique_ptr<DIR, CloseDirectory> stream(::fdopendir(directory.get()));
  if (!stream) return {{}, false, true};
  static_cast<void>(directory.release());  // the stream closes it
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) {
      result.failed = errno != 0;
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || (!hidden && name.starts_with('.'))) continue;
    if (result.items.size() == kMaxListed) {
      result.cut = true;
      break;
    }
    struct stat info {};
    if (::fstatat(::dirfd(stream.get()), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone already
    result.items.push_back(
        {std::string(name), S_ISDIR(info.st_mode), static_cast<std::uint64_t>(info.st_size), info.st_mtim.tv_sec});
  }
  std::sort(result.items.begin(), result.items.end(), [](const Item& a, const Item& b) {
    return std::tuple(!a.directory, std::string_view(a.name)) < std::tuple(!b.directory, std::string_view(b.name));
  });
  return result;
}

void append_item(const Item& item, std::string& html) {
  std::string link = "./";  // so that a colon in the name does not make a scheme of it
  http::append_encoded_path(item.name, link);
  if (item.directory) link += '/';
  html += "<tr><td><a href=\"";
  append_escaped(link, html);
  html += "\">";
  append_escaped(item.name, html);
  if (item.directory) html += '/';
  html += "</a></td><td>";
  html += http::HttpDate(item.modified).text();
  html += "</td><td>";
  if (!item.directory) html += std::to_string(item.size);
  html += "</td></tr>\n";
}

}  // namespace

bool write_listing(UniqueFd directory, std::string_view path, bool hidden, std::string& html) {
  const Listing listing = read_items(std::move(directory), hidden);
  if (listing.failed) return false;
  html += "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Index of ";
  append_escaped(path, html);
  html +=
      "</title><style>body{font-family:system-ui,sans-serif;margin:2rem}td{padding:.15rem 2rem .15rem 0;"
      "font-variant-numeric:tabular-nums}td:last-child{text-align:right}</style></head>\n<body><h1>Index of ";
  append_escaped(path, html);
  html += "</h1>\n<table>\n";
  if (path != "/") html += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
  for (const auto& item : listing.items) append_item(item, html);
  html += "</table>\n";
  if (listing.cut) html += "<p>There are more entries than are shown here.</p>\n";
  html += "</body></html>\n";
  return true;
}

}  // namespace headgate::proxy
