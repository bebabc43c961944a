// SPDX-License-Identifier: Apache-2.0
// Which instance a command talks to, and one call of its admin API with the complaints that its user should see.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "config/load.h"
#include "proxy/cli/admin_client.h"
#include "proxy/cli/options.h"

namespace headgate::cli {

struct AdminTarget {
  config::Address address;
  std::string token;
  std::optional<config::Loaded> doubtful;  ///< a file with mistakes, when the address might have stood in it
};

/// Where the instance is: --admin, else what the file in reach says, else the default. Nothing after the complaint was
/// printed. A file with mistakes in it is no reason to fail: `reload` is how one finds out about them.
std::optional<AdminTarget> find_target(const Options& options);

/// Prints why there is no answer.
void complain(const AdminTarget& target, const config::ParseError& error);
/// Prints what an answer outside 2xx says.
void complain(const AdminTarget& target, const AdminReply& reply);

/// The body of a 2xx answer; nothing after the complaint was printed.
std::optional<std::string> call(const AdminTarget& target, const char* method, std::string path,
                                std::chrono::milliseconds timeout, std::string body = {});

/// What an answer that did as it was told has to say besides.
void warn_of(const nlohmann::json& answer);

/// As one segment of a path: all but the unreserved characters of RFC 3986 section 2.3 are escaped.
std::string path_segment(std::string_view text);

}  // namespace headgate::cli
