// SPDX-License-Identifier: Apache-2.0
// The command events: the stream of server-sent events of a running instance, a line for each.
#include <iostream>

#include "proxy/cli/admin_target.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/event_lines.h"
#include "proxy/cli/options.h"

namespace headgate::cli {
namespace {

/// A comment comes every 15 seconds: who is silent for so long is not there any more.
constexpr std::chrono::milliseconds kSilence{60'000};
/// An id that no start of the program has: everything that is kept.
constexpr const char* kBeforeAll = "0";

}  // namespace

int events(const Options& options) {
  const auto target = find_target(options);
  if (!target) return kFailed;
  EventLines lines(options.json);
  const auto print = [&](std::string_view piece) {
    const std::string text = lines.read(piece);
    if (!text.empty()) std::cout << text << std::flush;
  };
  const AdminRequest request{"GET", "/v1/events", target->token, kSilence, options.all ? kBeforeAll : ""};
  const auto reply = follow_admin(target->address, request, print);
  if (!reply) {
    complain(*target, reply.error());
    return kFailed;
  }
  if (reply->status == 200) return kDone;
  complain(*target, *reply);
  return kFailed;
}

}  // namespace headgate::cli
