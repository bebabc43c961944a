// SPDX-License-Identifier: Apache-2.0
// RedisConnection: hiredis' asynchronous context on our loop. Commands are queued and leave together with flush();
// answers come in the order of the commands.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/event.h"
#include "base/ip.h"
#include "base/loop.h"

struct redisAsyncContext;

namespace headgate::ratelimit {

struct RedisReply {
  enum class Kind { kLost, kError, kInteger, kIntegers, kText, kTexts, kOther };
  Kind kind = Kind::kLost;         ///< kLost: the connection ended before the answer
  std::int64_t integer = 0;        ///< kInteger
  std::vector<std::int64_t> list;  ///< kIntegers: an array of nothing else
  std::string_view text;           ///< kText, kError; lives during the call
  /// kTexts: likewise; nothing where there is no value.
  std::vector<std::optional<std::string>> texts;
};

/// Loop thread only. It does nothing by itself: its owner waits for `ready` and calls pump().
class RedisConnection final : private Readiness {
 public:
  class Listener {
   public:
    /// The answer to the oldest command without one. Called from pump(), or from the destructor with kLost; must not
    /// destroy the connection.
    virtual void replied(const RedisReply& reply) = 0;

   protected:
    ~Listener() = default;
  };

  /// Begins to connect. An address that fails at once makes a connection that is not open.
  RedisConnection(Loop& loop, const SocketAddress& to, Listener& listener);
  ~RedisConnection();  ///< every command without an answer gets kLost
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  bool open() const { return context_ != nullptr; }  ///< connected, or still connecting
  bool connected() const { return connected_; }
  const std::string& problem() const { return problem_; }  ///< why it is not open any more

  void command(std::span<const std::string_view> arguments);

  /// Sends what is queued, once it is connected.
  void flush();

  /// Reads and writes what the last events allow.
  void pump();

  Event ready;  ///< set when there is something to pump

 private:
  struct Hooks;
  void on_events(std::uint32_t events) override;
  void update_interest();
  void closed();

  Loop& loop_;
  Listener& listener_;
  redisAsyncContext* context_ = nullptr;
  std::string problem_;
  bool connected_ = false;
  bool wants_write_ = false;
  std::uint32_t interest_ = 0;
  std::uint32_t noted_ = 0;
};

}  // namespace headgate::ratelimit
