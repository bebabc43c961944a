// SPDX-License-Identifier: Apache-2.0
// Where a Redis is: redis://[user:password@]host:port[/database], or unix:/path.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "config/model.h"

namespace headgate::ratelimit {

struct RedisUrl {
  config::Address address;  ///< kIp, kName or kUnix
  std::string user;         ///< percent encoding taken away; empty: the default user
  std::string password;     ///< likewise; empty: none is sent
  int database = 0;

  std::string name() const;  ///< for logs: without user and password

  /// What the configuration's reader has accepted; nullopt for anything else.
  static std::optional<RedisUrl> parse(std::string_view text);
};

}  // namespace headgate::ratelimit
