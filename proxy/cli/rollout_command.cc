// SPDX-License-Identifier: Apache-2.0
// The command rollout: start, status, pause, resume, promote, abort.
#include <cerrno>
#include <csignal>
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include "base/time.h"
#include "proxy/cli/admin_target.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/options.h"
#include "proxy/cli/rollout_picture.h"
#include "proxy/cli/status_table.h"

namespace headgate::cli {
namespace {

using nlohmann::json;

constexpr std::chrono::milliseconds kCallTimeout{10'000};
constexpr int kPauseMs = 250;
/// An instance that is restarted is away for a moment.
constexpr Duration kMostSilence = std::chrono::seconds(5);

volatile std::sig_atomic_t interrupted = 0;
void interrupt(int) {
  interrupted = 1;
}

/// While it lives, Ctrl-C sets `interrupted` and ends waits.
class CatchInterrupt {
 public:
  CatchInterrupt() {
    struct sigaction action {};
    action.sa_handler = interrupt;
    sigaction(SIGINT, &action, &before_);
  }
  ~CatchInterrupt() { sigaction(SIGINT, &before_, nullptr); }
  CatchInterrupt(const CatchInterrupt&) = delete;
  CatchInterrupt& operator=(const CatchInterrupt&) = delete;

 private:
  struct sigaction before_ {};
};

std::string path_of(const Options& options) {
  return "/v1/upstreams/" + path_segment(options.upstream) + "/rollout";
}

std::optional<json> parse(const std::string& text) {
  json rollout = json::parse(text, nullptr, false);
  if (rollout.is_object()) return rollout;
  std::cerr << "headgate: what the instance answered is not a JSON object\n";
  return std::nullopt;
}

std::optional<json> ask(const Options& options, const AdminTarget& target, const char* method, const json& body) {
  const auto answer =
      call(target, method, path_of(options), kCallTimeout, body.is_null() ? std::string() : body.dump());
  auto rollout = answer ? parse(*answer) : std::nullopt;
  if (rollout && rollout->value("saved", true) == false) {
    std::cerr << "warning: it could not be saved in state_dir: a restart will forget it (see the log)\n";
  }
  if (rollout) warn_of(*rollout);
  return rollout;
}

/// What there is to see, for a terminal again and again in the same place, else a line for each decision.
class Show {
 public:
  explicit Show(bool as_json) : json_(as_json), terminal_(!as_json && ::isatty(STDOUT_FILENO) == 1) {}

  void update(const json& rollout) {
    if (terminal_) {
      std::string text = lines_ == 0 ? "" : fmt::format("\033[{}A\033[J", lines_);
      const auto picture = rollout_picture(rollout, true);
      for (const auto& line : picture) text += line + '\n';
      lines_ = picture.size();
      std::cout << text << std::flush;
      return;
    }
    const json decisions = rollout.value("decisions", json::array());
    std::uint64_t last = 0;
    for (const auto& decision : decisions) last = std::max(last, decision.value("number", std::uint64_t{0}));
    if (last < told_) told_ = 0;  // counted by another process now
    for (const auto& decision : decisions) {
      const auto number = decision.value("number", std::uint64_t{0});
      if (number <= told_) continue;
      told_ = number;
      if (json_) {
        std::cout << decision.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
      } else {
        std::cout << printable(decision.value("time", "-")) << ' ' << printable(decision.value("sentence", "-"))
                  << '\n';
      }
    }
    std::cout << std::flush;
  }

  void end(const json& rollout) const {
    if (json_) {
      std::cout << rollout.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
    } else {
      std::cout << rollout_line(rollout) << '\n' << rollout_damage(rollout) << '\n';
    }
  }

 private:
  const bool json_;
  const bool terminal_;
  std::size_t lines_ = 0;
  std::uint64_t told_ = 0;
};

int left_alone(const Options& options) {
  std::cerr << fmt::format(
      "\nthe rollout goes on; `headgate rollout status {0} --follow` shows it again, "
      "`headgate rollout abort {0}` takes it back\n",
      options.upstream);
  return kFailed;
}

int follow(const Options& options, const AdminTarget& target, json rollout) {
  const CatchInterrupt catching;
  const json id = rollout.value("id", json());
  Show show(options.json);
  TimePoint heard = Clock::now();
  for (;;) {
    show.update(rollout);
    if (rollout.value("over", false)) break;
    if (interrupted != 0 || (::poll(nullptr, 0, kPauseMs) != 0 && errno == EINTR)) return left_alone(options);
    const auto reply = call_admin(target.address, {"GET", path_of(options), target.token, kCallTimeout});
    if (interrupted != 0) return left_alone(options);
    if (!reply) {
      if (Clock::now() - heard < kMostSilence) continue;
      complain(target, reply.error());
      return kFailed;
    }
    if (reply->status != 200) {
      complain(target, *reply);
      return kFailed;
    }
    auto next = parse(reply->body);
    if (!next) return kFailed;
    if (next->value("id", json()) != id) {
      std::cerr << fmt::format("headgate: another rollout has begun in upstream '{}'\n", options.upstream);
      return kFailed;
    }
    rollout = *std::move(next);
    heard = Clock::now();
  }
  show.end(rollout);
  return rollout.value("state", "") == "promoted" ? kDone : kRolledBack;
}

int tell(const Options& options, const json& rollout, bool whole) {
  if (options.json) {
    std::cout << rollout.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  } else if (whole) {
    for (const auto& line : rollout_picture(rollout, false)) std::cout << line << '\n';
  } else {
    std::cout << rollout_line(rollout) << '\n';
    if (rollout.value("over", false)) std::cout << rollout_damage(rollout) << '\n';
  }
  return kDone;
}

}  // namespace

int rollout(const Options& options) {
  const auto target = find_target(options);
  if (!target) return kFailed;
  const bool asks = options.action == "status";
  const json body = asks                        ? json()
                    : options.action == "start" ? json{{"action", "start"}, {"pool", options.pool}}
                                                : json{{"action", options.action}};
  auto told = ask(options, *target, asks ? "GET" : "POST", body);
  if (!told) return kFailed;
  if (options.follow) return follow(options, *target, *std::move(told));
  return tell(options, *told, asks);
}

}  // namespace headgate::cli
