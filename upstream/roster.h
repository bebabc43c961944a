// SPDX-License-Identifier: Apache-2.0
// Which servers of a pool take requests now, decided from what is known of each of them. Pure; the Monitor makes a new
// Roster with every change, and workers follow the latest.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "upstream/endpoint.h"
#include "upstream/health.h"

namespace headgate::upstream {

/// What is known of one server of a pool.
struct Facts {
  Health health = Health::kUnchecked;
  Passive passive = Passive::kIn;
  bool drained = false;  ///< by an operator
  bool backup = false;
  bool doubtful = false;  ///< it gave grounds to eject a moment ago, which was not possible
  TimePoint ejected_at{};
};

enum class Standing : std::uint8_t {
  kServing,
  kUnknown,    ///< not checked yet
  kUnhealthy,  ///< by active checks
  kEjected,    ///< by live traffic
  kTrial,      ///< ejected, but one request may find out
  kDrained,    ///< by an operator
};
std::string_view to_string(Standing standing);

struct Verdict {
  Standing standing = Standing::kServing;
  bool in_rotation = false;       ///< takes requests, whatever its standing
  bool ejection_refused = false;  ///< max_ejected, or it would have been the last
};

/// Whom requests go to.
enum class Rotation : std::uint8_t {
  kServing,  ///< those that are well
  kBackup,   ///< the backup servers, since no other is well
  kUnknown,  ///< nobody is known to be well, and some are not known yet: requests wait a moment, then try these
  kPanic,    ///< none is well: all but drained ones
  kNone,     ///< nobody: all are drained, or there is no address
};
std::string_view to_string(Rotation rotation);

/// Judges the servers of one pool. `max_ejected` is the share of all of them, rounded down to whole servers; the last
/// one that is well is never ejected. Of more than that, those ejected first stay so. `verdicts` is as long as `facts`.
Rotation judge(std::span<const Facts> facts, double max_ejected, std::span<Verdict> verdicts);

/// A pool at one moment. Immutable.
struct Roster {
  struct Entry {
    std::shared_ptr<Endpoint> endpoint;
    std::uint32_t server = 0;  ///< which of the pool's servers in the configuration; a name may stand for several
    Verdict verdict;
    TimePoint returned_at{};  ///< for slow start; TimePoint{}: it was there from the start
  };
  Rotation rotation = Rotation::kNone;
  std::vector<Entry> entries;
  bool doubtful = false;          ///< so are all in rotation: where there is another pool, that is the better one
  bool resolving = false;         ///< a name has been asked for, and nothing is known of it yet
  const char* missing = nullptr;  ///< why a name has no address: a reason token
};

}  // namespace headgate::upstream
