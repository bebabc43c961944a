// SPDX-License-Identifier: Apache-2.0
// The page that `autoindex: true` shows for a directory without an index file.
#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace headgate::proxy {

/// More names than this are not read; the page says so. Bounds the time that one request may hold up the loop.
inline constexpr std::size_t kMaxListed = 4096;

/// Writes an HTML page with the names in `directory` (an open descriptor, taken over), directories first, each sorted
/// by bytes. `path` is shown as the title. Names that begin with a dot are left out unless `hidden`; links are listed
/// as what they are, not as what they lead to. False when the directory cannot be read.
bool write_listing(UniqueFd directory, std::string_view path, bool hidden, std::string& html);

}  // namespace headgate::proxy
