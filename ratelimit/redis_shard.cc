// SPDX-License-Identifier: Apache-2.0
#include "ratelimit/redis_shard.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/log.h"

namespace headgate::ratelimit {
namespace {

constexpr Duration kRetry = std::chrono::milliseconds(250);
constexpr Duration kHeartbeat = std::chrono::seconds(1);
constexpr unsigned kMostFailures = 3;
constexpr std::string_view kInstancesKey = "headgate:instances";

}  // namespace

RedisShard::RedisShard(Loop& loop, RedisUrl url, Settings settings, StoreHealth& health, ResolveHost resolve)
    : loop_(loop),
      url_(std::move(url)),
      settings_(std::move(settings)),
      health_(health),
      resolve_(std::move(resolve)),
      retry_(loop) {}

RedisShard::~RedisShard() = default;

// --- questions ------------------------------------------------------------------------------------------------------

bool RedisShard::ask(std::shared_ptr<TokenQuestion> question) {
  if (!accepts()) return false;
  if (batch_.empty()) batch_deadline_ = loop_.now() + settings_.timeout;
  batch_.push_back(std::move(question));
  // Those of this turn leave together in the next, which begins at once.
  if (connection_) connection_->ready.set();
  return true;
}

void RedisShard::fail(Questions& questions) {
  for (const auto& question : std::exchange(questions, {})) question->answered(nullptr);
}

void RedisShard::send(Command::Kind kind, std::span<const std::string_view> arguments, Duration timeout) {
  under_way_.push_back({kind, {}, loop_.now() + timeout});
  connection_->command(arguments);
}

void RedisShard::send_batch() {
  Questions all = std::exchange(batch_, {});
  for (std::size_t first = 0; first < all.size(); first += kMostKeys) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = static_cast<std::ptrdiff_t>(std::min(kMostKeys, all.size() - first));
    send_tokens(Questions(std::make_move_iterator(begin), std::make_move_iterator(begin + count)));
  }
}

void RedisShard::send_tokens(Questions questions) {
  std::vector<std::string> numbers;
  numbers.reserve(kTokenArguments * questions.size());
  std::vector<std::string_view> arguments;
  arguments.reserve(3 + (kTokenArguments + 1) * questions.size());
  const std::string count = std::to_string(questions.size());
  // Sent whole the script is remembered by Redis as well.
  arguments.push_back(script_.empty() ? "EVAL" : "EVALSHA");
  arguments.push_back(script_.empty() ? std::string_view(kTokenScript) : std::string_view(script_));
  arguments.push_back(count);
  for (const auto& question : questions) {
    question->sent = true;
    arguments.push_back(question->request.key);
    append_arguments(question->request, numbers);
  }
  arguments.insert(arguments.end(), numbers.begin(), numbers.end());
  under_way_.push_back({Command::Kind::kTokens, std::move(questions), loop_.now() + settings_.timeout});
  connection_->command(arguments);
}

void RedisShard::take_tokens(Command& command, const RedisReply& reply) {
  auto& questions = command.questions;
  if (reply.kind == RedisReply::Kind::kError && reply.text.starts_with("NOSCRIPT") && !script_.empty() &&
      !command.given_up) {
    // Redis was restarted behind our back, or somebody flushed its scripts: once more, with the script.
    script_.clear();
    send_tokens(std::exchange(questions, {}));
    send(Command::Kind::kLoad, std::array<std::string_view, 3>{"SCRIPT", "LOAD", kTokenScript}, settings_.timeout);
    connection_->flush();
    return;
  }
  if (reply.kind != RedisReply::Kind::kIntegers || reply.list.size() != kTokenNumbers * questions.size()) {
    if (command.given_up) return;
    if (reply.kind == RedisReply::Kind::kError) refusal_ = reply.text;
    ++failures_in_a_row_;
    fail(questions);
    return;
  }
  failures_in_a_row_ = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto* const numbers = &reply.list[kTokenNumbers * i];
    const TokenAnswer answer{numbers[0], numbers[1], numbers[2] * 1000};
    questions[i]->answered(&answer);
  }
  questions.clear();
}

void RedisShard::replied(const RedisReply& reply) {
  if (under_way_.empty()) return;
  Command command = std::move(under_way_.front());
  under_way_.pop_front();
  const bool failed = reply.kind == RedisReply::Kind::kError || reply.kind == RedisReply::Kind::kLost;
  // Of the handshake all must succeed. Its heartbeat writes: a replica, or a store that is full, is no store.
  const bool in_handshake = state_ != State::kUp && command.kind != Command::Kind::kTokens;
  if (in_handshake && failed && refusal_.empty()) refusal_ = reply.text.empty() ? "connection lost" : reply.text;
  switch (command.kind) {
    case Command::Kind::kSetup:
      break;
    case Command::Kind::kLoad:
      if (reply.kind == RedisReply::Kind::kText) script_ = reply.text;
      break;
    case Command::Kind::kHeartbeat:
      if (failed) {
        ++failures_in_a_row_;
      } else if (reply.kind == RedisReply::Kind::kInteger) {
        health_.instances.store(static_cast<std::uint32_t>(std::clamp<std::int64_t>(reply.integer, 1, 100'000)),
                                std::memory_order_relaxed);
        failures_in_a_row_ = 0;
      }
      break;
    case Command::Kind::kTokens:
      take_tokens(command, reply);
      break;
  }
}

void RedisShard::heartbeat() {
  // One worker of the process speaks for all.
  const Nanos now = nanos_of(loop_.now());
  Nanos due = health_.next_heartbeat.load(std::memory_order_relaxed);
  if (now < due) return;
  if (!health_.next_heartbeat.compare_exchange_strong(due, now + std::chrono::nanoseconds(kHeartbeat).count(),
                                                      std::memory_order_relaxed)) {
    return;
  }
  const std::array<std::string_view, 5> arguments{"EVAL", kHeartbeatScript, "1", kInstancesKey, settings_.instance};
  send(Command::Kind::kHeartbeat, arguments, std::max<Duration>(settings_.timeout, kRetry));
}

// --- the connection -------------------------------------------------------------------------------------------------

Task<> RedisShard::run() {
  while (!stopping_) {
    const bool connected = co_await connect();
    if (connected) {
      came_up();
      co_await converse();
    }
    if (stopping_) break;
    const std::string why = !refusal_.empty()                                ? refusal_
                            : connection_ && !connection_->problem().empty() ? connection_->problem()
                                                                             : std::string("no answer in time");
    went_down(why);
    co_await retry_.wait(loop_.now() + kRetry);
    retry_.clear();
  }
  went_down("");
  if (std::exchange(counted_down_, false)) health_.workers_down.fetch_sub(1);
  ended_ = true;
}

void RedisShard::stop() {
  stopping_ = true;
  retry_.set();
  if (connection_) connection_->ready.set();
}

Task<bool> RedisShard::connect() {
  const TimePoint deadline = loop_.now() + settings_.connect_timeout;
  refusal_.clear();
  script_.clear();
  SocketAddress to;
  const auto& address = url_.address;
  if (address.kind == config::Address::Kind::kUnix) {
    try {
      to = SocketAddress::unix_path(address.path);
    } catch (const std::exception& error) {
      refusal_ = error.what();
      co_return false;
    }
  } else if (address.kind == config::Address::Kind::kIp) {
    to = SocketAddress::ip(address.ip, address.port);
  } else {
    auto looking = resolve_(address.host, address.port);
    const auto found = co_await looking;
    if (!found || found->empty()) {
      refusal_ = "the name has no address";
      co_return false;
    }
    to = found->front();
  }
  if (stopping_) co_return false;
  RedisConnection::Listener& listener = *this;
  connection_ = std::make_unique<RedisConnection>(loop_, to, listener);
  if (!connection_->open()) co_return false;
  send_handshake();
  while (connection_->open() && refusal_.empty() && !under_way_.empty() && !stopping_) {
    const TimePoint until = batch_.empty() ? deadline : std::min(deadline, batch_deadline_);
    const Wake wake = co_await connection_->ready.wait(until);
    if (wake == Wake::kTimeout) {
      if (!batch_.empty() && loop_.now() >= batch_deadline_) fail(batch_);
      if (loop_.now() >= deadline) co_return false;
    }
    connection_->pump();
  }
  co_return connection_->open() && refusal_.empty() && !stopping_;
}

void RedisShard::send_handshake() {
  using Kind = Command::Kind;
  const Duration timeout = settings_.connect_timeout;
  if (!url_.password.empty() && url_.user.empty()) {
    send(Kind::kSetup, std::array<std::string_view, 2>{"AUTH", url_.password}, timeout);
  } else if (!url_.password.empty()) {
    send(Kind::kSetup, std::array<std::string_view, 3>{"AUTH", url_.user, url_.password}, timeout);
  }
  if (url_.database != 0) {
    const std::string database = std::to_string(url_.database);
    send(Kind::kSetup, std::array<std::string_view, 2>{"SELECT", database}, timeout);
  }
  send(Kind::kLoad, std::array<std::string_view, 3>{"SCRIPT", "LOAD", kTokenScript}, timeout);
  // So that the first leases are of the right size.
  send(Kind::kHeartbeat,
       std::array<std::string_view, 5>{"EVAL", kHeartbeatScript, "1", kInstancesKey, settings_.instance}, timeout);
}

Task<> RedisShard::converse() {
  while (!stopping_) {
    heartbeat();
    send_batch();
    connection_->flush();
    if (!connection_->open()) co_return;
    co_await connection_->ready.wait(next_deadline());
    connection_->pump();
    if (!connection_->open() || !in_time()) co_return;
  }
}

TimePoint RedisShard::next_deadline() const {
  TimePoint next = TimePoint(std::chrono::nanoseconds(health_.next_heartbeat.load(std::memory_order_relaxed)));
  next = std::max(next, loop_.now() + kRetry);  // somebody else of the process may be about to send it
  for (const auto& command : under_way_) {
    if (!command.given_up) return std::min(next, command.deadline);
  }
  return next;
}

/// Gives up what has waited too long. False: the store is not to be waited for any more.
bool RedisShard::in_time() {
  for (auto& command : under_way_) {
    if (command.given_up || command.deadline > loop_.now()) continue;
    command.given_up = true;
    fail(command.questions);
    if (++failures_in_a_row_ >= kMostFailures) break;
  }
  return failures_in_a_row_ < kMostFailures;
}

void RedisShard::went_down(const std::string& why) {
  state_ = State::kDown;
  connection_.reset();  // answers what is under way with kLost
  for (auto& command : std::exchange(under_way_, {})) fail(command.questions);
  fail(batch_);
  failures_in_a_row_ = 0;
  if (counted_down_ || stopping_) return;
  counted_down_ = true;
  if (health_.workers_down.fetch_add(1) == 0) {
    log::warn("{}: {}; until it answers, rate limits follow their on_store_failure", url_.name(), why);
  }
}

void RedisShard::came_up() {
  state_ = State::kUp;
  failures_in_a_row_ = 0;
  if (!std::exchange(counted_down_, false)) return;
  if (health_.workers_down.fetch_sub(1) == 1) log::info("{}: answers again", url_.name());
}

}  // namespace headgate::ratelimit
