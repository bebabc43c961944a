// SPDX-License-Identifier: Apache-2.0
// Rate limits on the path of a request: whose key it has, whether all limits of its route let it pass, and what a
// client is told of them. The counting itself is ratelimit/'s.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/task.h"
#include "config/model.h"
#include "observe/metrics.h"
#include "ratelimit/shared_store.h"
#include "ratelimit/stores.h"
#include "routing/template.h"

namespace headgate::proxy {

class Generation;
class Request;

/// One limit as a generation has it. Immutable; shared by all workers.
struct CompiledLimit {
  /// Throws std::invalid_argument when the template is none.
  explicit CompiledLimit(const config::RateLimit& limit);

  const config::RateLimit* config;
  ratelimit::Pace pace;
  routing::Template key;
  bool by_address;     ///< the key is $remote_addr and nothing else: no text is needed
  std::string name;    ///< as a string of structured fields (RFC 8941 section 3.3.3), quotes included
  std::string policy;  ///< its item of RateLimit-Policy

  /// The key's text: the template, in which $remote_addr is the network of an IPv6 client.
  std::string key_text(const routing::Variables& values, const IpAddress& client) const;
};

/// The limits of a route, all of which must let a request pass.
struct LimitSet {
  std::vector<std::uint16_t> limits;  ///< indices of Generation::limits
  std::string policy;                 ///< RateLimit-Policy of those that tell; empty: none does
};

/// What answers to one request say of the limits. Views of the generation or the exchange's arena.
struct LimitAnswer {
  std::string_view policy;       ///< RateLimit-Policy; empty: nothing is said
  std::string_view state;        ///< RateLimit
  std::string_view retry_after;  ///< seconds; empty unless it was refused
  std::string_view limit;        ///< for the log: which one refused, or would have
  int status = 0;                ///< of the refusal; 0: it passed
};

enum class Admission {
  kPass,
  kRefused,
  kDenied,  ///< the store of a limit does not answer, and the limit says deny
  kAsk,     ///< not settled: ask() waits for a store
};

/// The limits of one worker's generation. Loop thread only.
class RateLimiter {
 public:
  /// The stores must have adopted the generation's limits.
  RateLimiter(const Generation& generation, ratelimit::Stores& stores, ratelimit::SharedStore& shared,
              observe::Metrics& metrics, std::size_t worker);

  /// Counts a request whose route has limits against all of them, or against none when one refuses it, and fills
  /// `request.limit`. kAsk: nothing is counted, and ask() must be.
  Admission check(Request& request) const;

  /// Likewise, with as many round trips to a store as are needed. Never kAsk.
  Task<Admission> ask(Request& request) const;

 private:
  struct Limit {
    const CompiledLimit* compiled;
    ratelimit::LimitId id;
    observe::LimitCells* cells;
    std::shared_ptr<const ratelimit::SharedRule> rule;  // null: counted in this process
  };
  struct Outcome;
  class Attempt;

  ratelimit::KeyId key_of(const Limit& limit, const Request& request) const;
  static Outcome outcome_of(const ratelimit::SharedVerdict& verdict);
  Outcome take(const Limit& limit, const ratelimit::KeyId& key, const Request& request, ratelimit::Nanos now) const;

  const Generation& generation_;
  ratelimit::LocalStore& local_;
  ratelimit::SharedStore& shared_;
  std::vector<Limit> limits_;
};

/// The answer to a request that was refused, as `request.limit` says: plain or JSON, or in the words of gRPC.
Task<Result<>> respond_limited(Request& request);

}  // namespace headgate::proxy
