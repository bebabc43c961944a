// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/token_script.h"

#include <array>
#include <cinttypes>
#include <cstdio>

#include "ratelimit/key_hash.h"

namespace headgate::ratelimit {
namespace {

constexpr std::size_t kLongestKey = 128;

std::string micros(Nanos nanos) {
  const std::string fraction = std::to_string(1000 + nanos % 1000);
  return std::to_string(nanos / 1000) + "." + fraction.substr(1);
}

}  // namespace

// Times count from a moment in 2023, so that a double has them to a sixtieth of a microsecond. What is charged without
// asking may leave a key beyond its burst; that debt is kept up to one more burst.
const char* const kTokenScript = R"lua(
local time = redis.call('TIME')
local now = (time[1] - 1700000000) * 1000000 + time[2]
local out = {}
for i = 1, #KEYS do
  local first = 4 * (i - 1)
  local interval, burst = tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
  local spent, wanted = tonumber(ARGV[first + 3]), tonumber(ARGV[first + 4])
  local tolerance = burst * interval
  local limit = now + tolerance
  local arrival = now
  local known = redis.call('GET', KEYS[i])
  if known then
    local at, was = string.match(known, '^(%S+) (%S+)$')
    at, was = tonumber(at), tonumber(was)
    if at and was and at > now then arrival = math.min(now + (at - now) * interval / was, limit + tolerance) end
  end
  local before = arrival
  arrival = math.max(arrival + spent * interval, now)
  local granted = math.max(math.min(wanted, math.floor((limit - arrival) / interval + 0.000001)), 0)
  arrival = arrival + granted * interval
  if arrival ~= before then
    if arrival > now then
      redis.call('SET', KEYS[i], string.format('%.3f %.3f', arrival, interval), 'PX',
                 string.format('%d', math.ceil((arrival - now) / 1000) + 1))
    else
      redis.call('DEL', KEYS[i])
    end
  end
  local remaining = math.max(math.floor((limit - arrival) / interval + 0.000001), 0)
  local wait = 0
  if remaining == 0 then wait = math.ceil(arrival + interval - limit) end
  out[#out + 1] = granted
  out[#out + 1] = remaining
  out[#out + 1] = wait
end
return out
)lua";

const char* const kHeartbeatScript = R"lua(
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZADD', KEYS[1], string.format('%.3f', now), ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.3f', now - 3.5))
redis.call('EXPIRE', KEYS[1], 60)
return redis.call('ZCARD', KEYS[1])
)lua";

void append_arguments(const TokenRequest& request, std::vector<std::string>& arguments) {
  arguments.push_back(micros(request.pace.interval));
  arguments.push_back(std::to_string(request.pace.burst()));
  arguments.push_back(std::to_string(request.spent));
  arguments.push_back(std::to_string(request.wanted));
}

std::string stored_key(std::string_view limit, std::string_view key) {
  if (key.size() <= kLongestKey) return "headgate:limit:" + std::string(limit) + ":" + std::string(key);
  // The same in every instance.
  const HashSeed seed = HashSeed{0x6865616467617465, 0x6c696d6974}.of(limit);
  std::array<char, 33> hash;
  std::snprintf(hash.data(), hash.size(), "%016" PRIx64 "%016" PRIx64, key_hash(seed, key),
                key_hash({seed.second, seed.first}, key));
  return "headgate:limit-hash:" + std::string(limit) + ":" + hash.data();
}

}  // namespace headgate::ratelimit
