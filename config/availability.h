// SPDX-License-Identifier: Apache-2.0
// What the configuration can say but this version cannot do yet: one table, from which each new feature deletes its
// lines. Such a key is read and checked like any other; set to something that would have an effect, it is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/document.h"
#include "config/environment.h"

namespace headgate::config {

/// Adds "not available yet: upstreams.api.split" for each such key of a file.
void find_unavailable(const Node& root, const std::string& file, const Environment& environment,
                      std::vector<Diagnostic>& out);

/// Whether the table has a key, given as in the schema ("listeners.*.http2"): such a default is not written by dump().
bool is_unavailable(std::string_view path);

/// For the manual: what of the key is not available, or empty. "*" is all of it.
std::string_view unavailable_part(std::string_view path);

}  // namespace headgate::config
