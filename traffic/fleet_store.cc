// SPDX-License-Identifier: Apache-2.0
#include "traffic/fleet_store.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "ratelimit/redis_client.h"
#include "upstream/name_resolver.h"

namespace headgate::traffic {
namespace {

using ratelimit::RedisClient;
using ratelimit::RedisReply;

/// As often as it is asked, an answer may take this long before Redis counts as away, whatever `timeout` says: that one
/// is of requests, which wait.
constexpr Duration kShortestTimeout = std::chrono::milliseconds(500);
constexpr int kPatience = 10;
constexpr const char* kLongest = "524288";     // bytes of a value; what is longer is none of ours
constexpr const char* kMostMembers = "1000";   // of one rollout, those that have left included
constexpr const char* kKeptSeconds = "86400";  // after the last turn

constexpr const char* kReadScript = R"lua(
local answer = {}
for i = 1, #KEYS do
  local size = redis.pcall('STRLEN', KEYS[i])
  if type(size) ~= 'number' or size > tonumber(ARGV[1]) then
    answer[i] = '0'
  elseif size == 0 then
    answer[i] = false
  else
    answer[i] = redis.call('GET', KEYS[i])
  end
end
return answer
)lua";

constexpr const char* kReplaceScript = R"lua(
local text = redis.pcall('GET', KEYS[1])
local version = 0
if type(text) == 'string' then
  version = tonumber(string.match(text, '^(%d+) ')) or 0
  if version > 1e15 then version = 0 end
end
if version ~= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
)lua";

/// The figures of members that have left stay: sums must not fall while a rollout is judged by them.
constexpr const char* kTurnScript = R"lua(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local leader = redis.call('GET', KEYS[1])
if not leader or leader == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  leader = ARGV[1]
end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 or redis.call('HLEN', KEYS[2]) < tonumber(ARGV[5]) then
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now) .. ' ' .. ARGV[3])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
if leader ~= ARGV[1] then return {'0'} end
local answer = {'1'}
local all = redis.call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  local at, text = string.match(all[i + 1], '^(%d+) (.*)$')
  if at and #text <= tonumber(ARGV[6]) then
    answer[#answer + 1] = all[i]
    answer[#answer + 1] = string.format('%.0f', math.max(0, now - at))
    answer[#answer + 1] = text
  end
end
return answer
)lua";

std::chrono::milliseconds milliseconds_of(const std::string& text) {
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return std::chrono::milliseconds(number);
}

class RedisFleetStore final : public FleetStore {
 public:
  RedisFleetStore(Loop& loop, ratelimit::RedisUrl url, const config::Redis& redis, const config::Dns& dns)
      : loop_(loop),
        dns_(dns),
        client_(loop, std::move(url),
                {std::max<Duration>(kPatience * redis.timeout, kShortestTimeout), redis.connect_timeout},
                [this](std::string host, std::uint16_t port) { return resolve(std::move(host), port); }) {}

  Task<std::optional<Texts>> read(std::vector<std::string> upstreams) override {
    std::vector<std::string> command = {"EVAL", kReadScript, std::to_string(upstreams.size())};
    for (const auto& upstream : upstreams) command.push_back(traffic_key(upstream));
    command.emplace_back(kLongest);
    auto calling = client_.call(std::move(command));
    auto answer = co_await calling;
    if (upstreams.empty() && answer.kind == RedisReply::Kind::kIntegers) co_return std::optional<Texts>(Texts());
    if (answer.kind != RedisReply::Kind::kTexts || answer.texts.size() != upstreams.size()) {
      refused(answer);
      co_return std::nullopt;
    }
    co_return std::optional<Texts>(std::move(answer.texts));
  }

  Task<Written> replace(std::string upstream, std::uint64_t version, std::string text) override {
    std::vector<std::string> command = {
        "EVAL", kReplaceScript, "1", traffic_key(upstream), std::to_string(version), std::move(text)};
    auto calling = client_.call(std::move(command));
    const auto answer = co_await calling;
    refused(answer);
    if (answer.kind != RedisReply::Kind::kInteger) co_return Written::kLost;
    co_return answer.integer == 1 ? Written::kDone : Written::kMoved;
  }

  Task<std::optional<Turn>> take_turn(std::string upstream, std::uint64_t rollout, std::string instance,
                                      std::string scores) override {
    const std::string prefix = "headgate:rollout:" + upstream;
    std::vector<std::string> command = {"EVAL",
                                        kTurnScript,
                                        "2",
                                        prefix + ":leader",
                                        prefix + ":scores:" + std::to_string(rollout),
                                        std::move(instance),
                                        std::to_string(kLease.count()),
                                        std::move(scores),
                                        kKeptSeconds,
                                        kMostMembers,
                                        kLongest};
    auto calling = client_.call(std::move(command));
    auto answer = co_await calling;
    const auto& texts = answer.texts;
    const bool whole = answer.kind == RedisReply::Kind::kTexts && texts.size() % 3 == 1 &&
                       std::all_of(texts.begin(), texts.end(), [](const auto& text) { return text.has_value(); });
    if (!whole) {
      refused(answer);
      co_return std::nullopt;
    }
    Turn turn;
    turn.leads = *texts.front() == "1";
    for (std::size_t i = 1; i + 2 < texts.size(); i += 3) {
      turn.members.push_back({*texts[i], milliseconds_of(*texts[i + 1]), *texts[i + 2]});
    }
    co_return std::optional<Turn>(std::move(turn));
  }

  Task<> run() override { return client_.run(); }
  void stop() override {
    client_.stop();
    if (names_) names_->cancel();
  }
  std::string problem() const override { return client_.problem().empty() ? refusal_ : client_.problem(); }

 private:
  static std::string traffic_key(const std::string& upstream) { return "headgate:traffic:" + upstream; }

  /// An answer, but none to what was asked: no rights, no memory, a replica.
  void refused(const RedisClient::Answer& answer) {
    if (answer.kind == RedisReply::Kind::kError) refusal_ = answer.text;
  }

  Task<Result<std::vector<SocketAddress>>> resolve(std::string host, std::uint16_t port) {
    if (!names_) {
      try {
        names_ = std::make_unique<upstream::NameResolver>(loop_, dns_);
      } catch (const std::exception&) {
        co_return Error{Errc::kResolve, Side::kInternal, "resolver_failed"};
      }
    }
    auto looking = names_->resolve(std::move(host));
    const auto answer = co_await looking;
    if (!answer) co_return answer.error();
    std::vector<SocketAddress> addresses;
    for (const auto& address : answer->addresses) addresses.push_back(SocketAddress::ip(address, port));
    co_return addresses;
  }

  Loop& loop_;
  const config::Dns dns_;
  std::unique_ptr<upstream::NameResolver> names_;
  std::string refusal_;
  RedisClient client_;
};

}  // namespace

std::shared_ptr<FleetStore> redis_fleet_store(Loop& loop, const config::Redis& redis, const config::Dns& dns) {
  auto url = redis.urls.empty() ? std::nullopt : ratelimit::RedisUrl::parse(redis.urls.front());
  if (!url) throw std::invalid_argument("redis.url: this is no URL of a Redis");
  return std::make_shared<RedisFleetStore>(loop, *std::move(url), redis, dns);
}

}  // namespace headgate::traffic
