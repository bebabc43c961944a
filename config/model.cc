// SPDX-License-Identifier: Apache-2.0
#include "config/model.h"

namespace headgate::config {

const std::string& FileName::text() const {
  static const std::string none;
  return name_ ? *name_ : none;
}

std::string Route::name() const {
  if (!path_regex.empty()) return path_regex;
  std::string joined;
  for (const PathPattern& path : paths) {
    if (!joined.empty()) joined += ", ";
    joined += path.text;
    if (path.prefix) joined += '*';
  }
  return joined;
}

std::string Site::name() const {
  return hosts.empty() ? "default" : hosts.front();
}

}  // namespace headgate::config
