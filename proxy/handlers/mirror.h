// SPDX-License-Identifier: Apache-2.0
// Shadow traffic: copies of requests that another upstream gets, too. Its answers are read and dropped, and whatever
// becomes of a copy, the request that it was made of does not notice.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/arena.h"
#include "base/proxy_protocol.h"
#include "base/task_group.h"
#include "http/client_exchange.h"
#include "proxy/handlers/body_copy.h"
#include "proxy/handlers/stored_body.h"
#include "proxy/request.h"
#include "upstream/random_numbers.h"
#include "upstream/upstream.h"

namespace headgate::proxy {

struct MirrorRule;
class Mirrors;

/// What every copy says, so that its receiver can tell. A request that has it already is not copied again: two
/// programs that mirror to each other make no storm.
inline constexpr std::string_view kMirrorField = "X-Mirrored";

/// A request's copy: not complete yet, or on its way. One that ends without having been sent counts as skipped.
class Shadow {
 public:
  Shadow(Mirrors& mirrors, Request& request, const MirrorRule& rule);
  ~Shadow();
  Shadow(const Shadow&) = delete;
  Shadow& operator=(const Shadow&) = delete;

  /// The next piece of the body. A body beyond BodyCopy::kMax is not copied, and the copy will not be sent.
  void add(std::span<const char> piece);
  /// All of a body that was stored; it stays as it is.
  void add(StoredBody& body);

 private:
  friend class Mirrors;
  void copy_head(Request& request);
  bool whole() const { return body_.size() == size_; }

  Mirrors& mirrors_;
  const WorkerGenerationRef generation_;
  const std::uint32_t upstream_;
  Arena arena_;
  http::RequestHead head_;
  BodyCopy body_;
  std::uint64_t size_ = 0;  // of the request's body, as far as it was seen
  std::uint64_t key_ = 0;   // for balance: hash(...)
  std::optional<ProxiedEnds> client_;
  bool sent_ = false;
};

/// One worker's. Loop thread only; what is under way keeps its generation.
class Mirrors {
 public:
  /// On their way at the same time. What comes beyond is skipped.
  static constexpr std::size_t kMost = 64;
  /// These and the copies of requests that are still arriving.
  static constexpr std::size_t kMostCopies = 256;
  /// Of an answer that is read; a longer one is broken off.
  static constexpr std::size_t kMostAnswer = 1024 * 1024;

  explicit Mirrors(Loop& loop);

  /// A copy that has no body yet. Null: the draw is against it, or there is no room, and that was counted.
  std::unique_ptr<Shadow> copy(Request& request, const MirrorRule& rule);
  /// Sends request.shadow, if there is one, or skips it. Its body is complete, or it has none.
  static void send(Request& request);

  std::size_t under_way() const { return tasks_.size(); }
  /// No more are sent. What is under way ends when its connection is cancelled.
  void stop() { stopping_ = true; }
  Task<Wake> join(TimePoint deadline) { return tasks_.join(deadline); }

 private:
  friend class Shadow;
  enum class Outcome { kAnswered, kFailed, kAgain };

  Task<> run(std::unique_ptr<Shadow> shadow);
  Task<bool> deliver(Shadow& shadow);
  Task<Outcome> try_at(Shadow& shadow, upstream::Turn& turn, std::size_t server, bool fresh);
  Task<Result<http::ResponseHead*>> ask(Shadow& shadow, http::ClientExchange& origin, Duration first_byte);
  Task<Result<>> drop_answer(http::ClientExchange& origin, TimePoint until);

  Loop& loop_;
  TaskGroup tasks_;
  upstream::RandomNumbers random_;
  std::size_t copies_ = 0;
  bool stopping_ = false;
};

}  // namespace headgate::proxy
