// SPDX-License-Identifier: Apache-2.0
// Which answers are compressed, with what, and what that does to their heads (RFC 9110 sections 8.4, 8.8.1 and 12.5).
// Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/container/static_vector.hpp>

#include "base/arena.h"
#include "config/model.h"
#include "http/message.h"
#include "http/negotiate.h"

namespace headgate::compress {

/// `compress:` of a site or a route, made ready. Immutable.
class Rules {
 public:
  Rules() = default;
  explicit Rules(const config::Compress& settings);

  const auto& codings() const { return codings_; }  ///< in the order of preference
  int level(http::Coding coding) const { return levels_[static_cast<std::size_t>(coding)]; }
  std::uint64_t min_size() const { return min_size_; }
  /// Whether content of this Content-Type is worth it; parameters are ignored.
  bool covers(std::string_view content_type) const;

 private:
  boost::container::static_vector<http::Coding, http::kCodingCount> codings_;
  std::array<int, http::kCodingCount> levels_{};
  std::uint64_t min_size_ = 0;
  std::vector<std::string> types_;  // lower case; with a star: "text/"
  bool any_type_ = false;
};

struct Decision {
  http::Coding coding = http::Coding::kIdentity;
  bool varies = false;   ///< another client would have got it otherwise: Vary, also with identity
  bool trickle = false;  ///< an event stream: each piece is to be heard at once
};

/// For the final head of an answer, after all other rules. An answer that has no content here (HEAD, 304) is judged as
/// the one that it stands for, as far as its head tells.
Decision decide(const Rules& rules, const http::RequestHead& request, const http::ResponseHead& answer);

/// Changes the head as the decision asks: Vary in any case; with a coding Content-Encoding, no length, no ranges, and a
/// weak tag in place of a strong one. New values lie in the arena.
void apply(const Decision& decision, const http::RequestHead& request, Arena& arena, http::ResponseHead& answer);

}  // namespace headgate::compress
