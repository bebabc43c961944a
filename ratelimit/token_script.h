// SPDX-License-Identifier: Apache-2.0
// The one script that runs in Redis: GCRA for a list of keys at once, on Redis' own clock, so that the instances'
// clocks do not matter. A key's value is its theoretical arrival time and the interval under which it was written, in
// microseconds; another rate keeps what the key has used. Redis 5 and later (the script's effects are replicated).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ratelimit/gcra.h"

namespace headgate::ratelimit {

/// KEYS: those of any number of limits. ARGV, for each: its interval in microseconds, its burst, what to charge without
/// asking (less than nothing: to give back), and what is wanted beyond that. Three integers for each: TokenAnswer.
extern const char* const kTokenScript;
inline constexpr std::size_t kTokenArguments = 4;
inline constexpr std::size_t kTokenNumbers = 3;

/// Tells that an instance is there, and answers how many have told so within the last seconds. KEYS[1]; ARGV[1]: its
/// id.
extern const char* const kHeartbeatScript;

struct TokenRequest {
  std::string key;  ///< as Redis knows it
  Pace pace;
  std::int64_t spent = 0;
  std::int64_t wanted = 0;
};

struct TokenAnswer {
  std::int64_t granted = 0;    ///< of what was wanted
  std::int64_t remaining = 0;  ///< what is left in the store
  Nanos wait = 0;              ///< until one more would be granted; 0: at once
};

/// The arguments of one key, behind those of the others.
void append_arguments(const TokenRequest& request, std::vector<std::string>& arguments);

/// What Redis calls a key: "headgate:limit:NAME:KEY"; a long key is replaced by a hash of 128 bits.
std::string stored_key(std::string_view limit, std::string_view key);

}  // namespace headgate::ratelimit
