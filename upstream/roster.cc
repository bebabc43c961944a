// SPDX-License-Identifier: Apache-2.0
#include "upstream/roster.h"

#include <algorithm>
#include <cmath>

namespace headgate::upstream {
namespace {

/// As if there were no limit to ejections.
Standing standing_of(const Facts& facts) {
  if (facts.drained) return Standing::kDrained;
  if (facts.health == Health::kUnhealthy) return Standing::kUnhealthy;
  if (facts.passive == Passive::kEjected) return Standing::kEjected;
  if (facts.passive == Passive::kTrial) return Standing::kTrial;
  return facts.health == Health::kUnknown ? Standing::kUnknown : Standing::kServing;
}

bool is_out(Standing standing) {
  return standing == Standing::kEjected || standing == Standing::kTrial;
}

/// Puts back into service what the limit does not allow to be ejected: whoever came last.
void limit_ejections(std::span<const Facts> facts, double max_ejected, std::span<Verdict> verdicts) {
  std::vector<std::size_t> out;
  std::size_t well = 0;
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    if (is_out(verdicts[i].standing)) out.push_back(i);
    well += verdicts[i].standing == Standing::kServing ? 1 : 0;
  }
  if (out.empty()) return;
  // The tolerance keeps 30 % of 10 from being 2.
  auto most = static_cast<std::size_t>(std::floor(max_ejected * static_cast<double>(facts.size()) + 1e-9));
  if (well == 0) most = std::min(most, out.size() - 1);
  if (out.size() <= most) return;
  std::sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) {
    return facts[a].ejected_at != facts[b].ejected_at ? facts[a].ejected_at < facts[b].ejected_at : a < b;
  });
  for (std::size_t i = most; i < out.size(); ++i) {
    Verdict& verdict = verdicts[out[i]];
    verdict.standing = facts[out[i]].health == Health::kUnknown ? Standing::kUnknown : Standing::kServing;
    verdict.ejection_refused = true;
  }
}

/// True: there are such servers, and they are in rotation now.
template <class Which>
bool rotate(std::span<const Facts> facts, std::span<Verdict> verdicts, const Which& which) {
  bool any = false;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    if (!which(facts[i], verdicts[i])) continue;
    verdicts[i].in_rotation = true;
    any = true;
  }
  return any;
}

}  // namespace

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::kServing:
      return "serving";
    case Standing::kUnknown:
      return "unknown";
    case Standing::kUnhealthy:
      return "unhealthy";
    case Standing::kEjected:
      return "ejected";
    case Standing::kTrial:
      return "trial";
    case Standing::kDrained:
      return "drained";
  }
  return "unknown";
}

std::string_view to_string(Rotation rotation) {
  switch (rotation) {
    case Rotation::kServing:
      return "serving";
    case Rotation::kBackup:
      return "backup";
    case Rotation::kUnknown:
      return "unknown";
    case Rotation::kPanic:
      return "panic";
    case Rotation::kNone:
      return "none";
  }
  return "none";
}

Rotation judge(std::span<const Facts> facts, double max_ejected, std::span<Verdict> verdicts) {
  for (std::size_t i = 0; i < facts.size(); ++i) verdicts[i] = {standing_of(facts[i]), false, false};
  limit_ejections(facts, max_ejected, verdicts);
  const auto serves = [](const Facts& f, const Verdict& v) { return v.standing == Standing::kServing && !f.backup; };
  if (rotate(facts, verdicts, serves)) return Rotation::kServing;
  const auto helps = [](const Facts&, const Verdict& v) { return v.standing == Standing::kServing; };
  if (rotate(facts, verdicts, helps)) return Rotation::kBackup;
  const auto unknown = [](const Facts&, const Verdict& v) { return v.standing == Standing::kUnknown; };
  if (rotate(facts, verdicts, unknown)) return Rotation::kUnknown;
  const auto there = [](const Facts&, const Verdict& v) { return v.standing != Standing::kDrained; };
  return rotate(facts, verdicts, there) ? Rotation::kPanic : Rotation::kNone;
}

}  // namespace headgate::upstream
