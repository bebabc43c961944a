// SPDX-License-Identifier: Apache-2.0
// RedisShard: one worker's end of one Redis: a connection that is kept, questions for tokens that go out together once
// a turn of the loop, and a breaker. A question is answered within `timeout` or has failed. After three failures in a
// row, or when the connection breaks, all questions fail at once until a new connection has proved itself, which is
// tried four times a second.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "ratelimit/redis_connection.h"
#include "ratelimit/redis_url.h"
#include "ratelimit/stores.h"
#include "ratelimit/token_script.h"

namespace headgate::ratelimit {

/// One question for tokens of one key. Shared by those who wait for it and the shard.
class TokenQuestion {
 public:
  explicit TokenQuestion(TokenRequest what) : request(std::move(what)) {}
  virtual ~TokenQuestion() = default;
  TokenRequest request;
  bool sent = false;  ///< from then on `request` is settled

  /// Once. Null: it failed.
  virtual void answered(const TokenAnswer* answer) = 0;
};

/// Addresses of a host name, within a time of its own; the program's resolver.
using ResolveHost =
    std::function<Task<Result<std::vector<SocketAddress>>>(std::string host, std::uint16_t port)>;

/// Loop thread only.
class RedisShard final : private RedisConnection::Listener {
 public:
  struct Settings {
    Duration timeout;
    Duration connect_timeout;
    std::string url;       ///< as configured
    std::string instance;  ///< the id of this process among those that share the store
    friend bool operator==(const Settings&, const Settings&) = default;
  };

  RedisShard(Loop& loop, RedisUrl url, Settings settings, StoreHealth& health, ResolveHost resolve);
  ~RedisShard();

  /// Connects, and connects again, until stop(). Its owner runs it once.
  Task<> run();
  void stop();

  /// False: the store does not answer, or too much waits for it. Else answered() comes within the timeout, and the
  /// tick of a deadline.
  bool ask(std::shared_ptr<TokenQuestion> question);

  /// Whether ask() would take a question.
  bool accepts() const { return state_ != State::kDown && batch_.size() < kMostWaiting; }

  const StoreHealth& health() const { return health_; }
  const Settings& settings() const { return settings_; }
  bool ended() const { return ended_; }  ///< run() has

 private:
  enum class State { kStarting, kUp, kDown };
  using Questions = std::vector<std::shared_ptr<TokenQuestion>>;
  struct Command {
    enum class Kind { kSetup, kLoad, kTokens, kHeartbeat } kind;
    Questions questions;
    TimePoint deadline;
    bool given_up = false;  // its questions have failed; the answer is still to come
  };
  static constexpr std::size_t kMostWaiting = 10'000;
  static constexpr std::size_t kMostKeys = 100;  // of one command: Redis does nothing else meanwhile

  void replied(const RedisReply& reply) override;
  void take_tokens(Command& command, const RedisReply& reply);
  Task<bool> connect();
  Task<> converse();
  bool handshake_done() const;
  void send_handshake();
  void send(Command::Kind kind, std::span<const std::string_view> arguments, Duration timeout);
  void send_batch();
  void send_tokens(Questions questions);
  void heartbeat();
  bool in_time();
  TimePoint next_deadline() const;
  void fail(Questions& questions);
  void went_down(const std::string& why);
  void came_up();

  Loop& loop_;
  const RedisUrl url_;
  const Settings settings_;
  StoreHealth& health_;
  const ResolveHost resolve_;
  Event retry_;
  std::unique_ptr<RedisConnection> connection_;
  State state_ = State::kStarting;
  bool stopping_ = false;
  bool ended_ = false;
  bool counted_down_ = false;
  std::string script_;   // its hash; empty: it must be sent whole
  std::string refusal_;  // an error that the handshake was answered with
  Questions batch_;
  TimePoint batch_deadline_ = kNoDeadline;
  std::deque<Command> under_way_;
  unsigned failures_in_a_row_ = 0;
};

}  // namespace headgate::ratelimit
