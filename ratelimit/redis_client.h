// SPDX-License-Identifier: Apache-2.0
// RedisClient: commands to one Redis, each with its own answer. For what is asked a few times a second: the state that
// a fleet shares. A connection is kept; a command without one, or without an answer in time, has failed.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "base/time.h"
#include "ratelimit/redis_connection.h"
#include "ratelimit/redis_shard.h"
#include "ratelimit/redis_url.h"

namespace headgate::ratelimit {

/// Loop thread only.
class RedisClient final : private RedisConnection::Listener {
 public:
  struct Settings {
    Duration timeout;
    Duration connect_timeout;
  };
  RedisClient(Loop& loop, RedisUrl url, Settings settings, ResolveHost resolve);
  ~RedisClient();

  /// Connects, and connects again, until stop(). Its owner runs it once, and keeps this until it has ended.
  Task<> run();
  void stop();

  /// Set while there is a connection that commands may be sent over.
  Event up;
  /// Why there is none.
  const std::string& problem() const { return problem_; }

  struct Answer {
    RedisReply::Kind kind = RedisReply::Kind::kLost;
    std::int64_t integer = 0;
    std::string text;
    std::vector<std::optional<std::string>> texts;
  };
  /// kLost: it failed; whether it was done is not known.
  Task<Answer> call(std::vector<std::string> arguments);

 private:
  struct Question {
    Question(Loop& loop, TimePoint until) : answered(loop), deadline(until) {}
    Event answered;
    Answer answer;
    TimePoint deadline;
  };
  void replied(const RedisReply& reply) override;
  void send(std::vector<std::string> arguments, Duration timeout);
  Task<bool> connect();
  Task<bool> find_address();
  Task<> converse();
  void hang_up();
  bool late() const;

  Loop& loop_;
  const RedisUrl url_;
  const Settings settings_;
  const ResolveHost resolve_;
  Event retry_;
  SocketAddress address_;
  std::unique_ptr<RedisConnection> connection_;
  std::deque<std::shared_ptr<Question>> under_way_;
  std::string problem_;
  bool stopping_ = false;
};

}  // namespace headgate::ratelimit
