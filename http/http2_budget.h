// SPDX-License-Identifier: Apache-2.0
// What a peer of HTTP/2 may have done without getting anywhere (RFC 9113 section 10.5): frames that cost us and bring
// no request on, and streams that are begun and broken off (CVE-2023-44487). Honest clients earn more than they spend.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace headgate::http {

/// Tokens that come back with time.
class TokenBucket {
 public:
  TokenBucket(std::int64_t capacity, std::int64_t per_second, TimePoint now)
      : capacity_(capacity), per_second_(per_second), tokens_(capacity), filled_(now) {}

  /// False when there are not that many left.
  bool spend(std::int64_t tokens, TimePoint now) {
    tokens_ -= tokens;
    if (tokens_ >= 0) return true;
    const auto seconds = std::chrono::duration<double>(now - filled_).count();
    filled_ = now;
    tokens_ = std::min(capacity_, tokens_ + static_cast<std::int64_t>(seconds * static_cast<double>(per_second_)));
    return tokens_ >= 0;
  }
  void earn(std::int64_t tokens) { tokens_ = std::min(capacity_, tokens_ + tokens); }

 private:
  const std::int64_t capacity_;
  const std::int64_t per_second_;
  std::int64_t tokens_;
  TimePoint filled_;
};

/// Of one connection. Each spend_* is false when the peer has gone too far and the connection should end.
class Http2Budget {
 public:
  explicit Http2Budget(TimePoint now) : control_(2000, 100, now), resets_(200, 20, now) {}

  /// SETTINGS, PING, PRIORITY, PRIORITY_UPDATE, WINDOW_UPDATE, CONTINUATION, DATA without content, unknown frames.
  bool spend_control(TimePoint now) { return control_.spend(1, now); }
  /// A stream that the peer broke off before its answer was complete, or that we had to break off because of it.
  bool spend_reset(TimePoint now) { return resets_.spend(1, now); }

  /// A request was answered: with it come a few frames of priority and flow control, and the other ones' cancelling.
  void earn_answer() {
    control_.earn(10);
    resets_.earn(1);
  }
  /// A frame of content went out, which the peer acknowledges for the stream and the connection.
  void earn_data() { control_.earn(4); }

 private:
  TokenBucket control_;
  TokenBucket resets_;
};

}  // namespace headgate::http
