// SPDX-License-Identifier: Apache-2.0
// The maintenance switch: an operator closes a site, and whoever is not let in gets 503 until it is opened again. It
// belongs to the site's name, so that reloads leave it alone. docs/error-pages.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.h"
#include "observe/events.h"
#include "proxy/request.h"

namespace headgate::proxy {

/// What an operator has said. What is left open is for the site's `maintenance` in the configuration.
struct Closure {
  std::int64_t since = 0;                           ///< Unix seconds
  std::optional<std::chrono::seconds> retry_after;  ///< 0: not told
  std::vector<Cidr> allow;                          ///< beside those of the configuration
  std::string message;
};

/// By the site's name. Immutable where it is shared.
using Closures = std::map<std::string, Closure, std::less<>>;

/// The name of the site that is meant by this name or one of its hosts.
std::optional<std::string> site_named(const config::Config& config, std::string_view name);

/// Main thread.
class Maintenance {
 public:
  /// `publish` gets what is closed each time that changes; null: nothing.
  using Publish = std::function<void(std::shared_ptr<const Closures>)>;
  Maintenance(observe::Events& events, Publish publish) : events_(events), publish_(std::move(publish)) {}

  /// In place of an earlier closure of that site.
  void close(const std::string& site, Closure closure);
  /// False: it was not closed.
  bool open(const std::string& site);

  const Closures& closed() const { return closed_; }
  /// As publish gets it.
  std::shared_ptr<const Closures> plan() const { return plan_; }

  /// What was saved before a restart.
  void restore(Closures closed);

 private:
  void changed();

  observe::Events& events_;
  const Publish publish_;
  Closures closed_;
  std::shared_ptr<const Closures> plan_;
};

/// The closure that this request meets: of its site, unless its client or its path is let through. Null: none. To be
/// asked before rewrites.
const Closure* closure_for(const Closures& closed, const Request& request);

/// 503 with Retry-After.
Task<Result<>> respond_closed(Request& request, const Closure& closure);

}  // namespace headgate::proxy
