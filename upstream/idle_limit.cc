// SPDX-License-Identifier: Apache-2.0
#include "upstream/idle_limit.h"

#include <charconv>
#include <cmath>

#include "http/fields.h"

namespace headgate::upstream {
namespace {

/// The way there and back, and the origin's clock, want some room.
constexpr double kMargin = 0.8;

Duration shortened(Duration time) {
  return std::chrono::duration_cast<Duration>(time * kMargin);
}

}  // namespace

void IdleLimit::told(std::string_view keep_alive) {
  while (!keep_alive.empty()) {
    const auto comma = keep_alive.find(',');
    const auto part = http::trim(keep_alive.substr(0, comma));
    keep_alive = comma == std::string_view::npos ? std::string_view() : keep_alive.substr(comma + 1);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos || !http::iequals(http::trim(part.substr(0, equals)), "timeout")) continue;
    const auto text = http::trim(part.substr(equals + 1));
    unsigned seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size()) continue;
    told_ = shortened(std::min<Duration>(kForever, std::chrono::seconds(seconds)));
  }
}

void IdleLimit::closed(Duration age, TimePoint now) {
  const Duration limit = std::max(shortened(age), kShortest);
  const bool recent = event_at_ != TimePoint{} && now - event_at_ <= kHabit;
  const bool same = recent && now - event_at_ <= kOneEvent;
  if (!same) event_at_ = now;
  if (!recent || (same && !habit_)) {
    event_age_ = recent ? std::min(event_age_, limit) : limit;
    habit_ = false;
    return;
  }
  learned_ = std::min(learned(now), habit_ ? limit : std::min(limit, event_age_));
  learned_at_ = now;
  habit_ = true;
}

Duration IdleLimit::learned(TimePoint now) const {
  if (learned_at_ == TimePoint{}) return kForever;
  const double doublings = std::chrono::duration<double>(now - learned_at_) / std::chrono::duration<double>(kDoubling);
  if (doublings < 1) return learned_;
  const double grown = static_cast<double>(learned_.count()) * std::exp2(std::min(std::floor(doublings), 40.0));
  return grown >= static_cast<double>(kForever.count()) ? kForever : Duration(static_cast<Duration::rep>(grown));
}

}  // namespace headgate::upstream
