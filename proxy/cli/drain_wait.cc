// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/drain_wait.h"

#include <algorithm>
#include <iostream>
#include <thread>

#include <fmt/format.h>

#include "proxy/cli/progress.h"

namespace headgate::cli {
namespace {

/// Between two looks: short at first, for most requests end within that.
constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kLongestPause{500};

std::string count(std::uint64_t number, const char* what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

}  // namespace

std::string text_of(const Remaining& remaining) {
  std::string text = count(remaining.in_flight, "request") + " in flight";
  if (remaining.tunnels != 0) text += ", " + count(remaining.tunnels, "tunnel") + " open";
  return text;
}

std::optional<Remaining> wait_until_drained(const DrainWait& wait, Remaining remaining,
                                            const std::function<std::optional<Remaining>()>& look) {
  Progress progress;
  auto pause = kFirstPause;
  while (remaining.in_flight != 0) {
    progress.show(fmt::format("{}: {}", wait.what, text_of(remaining)));
    const TimePoint now = Clock::now();
    if (now >= wait.deadline) {
      progress.show("");
      std::cerr << fmt::format("{}: still {} after {}; {}\n", wait.what, text_of(remaining), wait.timeout, wait.stays);
      return std::nullopt;
    }
    std::this_thread::sleep_until(std::min<TimePoint>(now + pause, wait.deadline));
    pause = std::min(pause * 2, kLongestPause);
    const auto next = look();
    if (!next) return std::nullopt;
    remaining = *next;
  }
  return remaining;
}

}  // namespace headgate::cli
