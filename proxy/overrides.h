// SPDX-License-Identifier: Apache-2.0
// What an operator has set in place of the configuration: servers that are drained, splits, rollouts, sites that are
// closed. The Monitor, Traffic, Rollouts and Maintenance act on it; here it is kept in state_dir, so that it survives a
// restart. What the file names and the configuration does not is kept, too: it may come back with the next reload.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/maintenance.h"
#include "traffic/rollouts.h"
#include "traffic/traffic.h"
#include "upstream/monitor.h"

namespace headgate::proxy {

/// All that is kept.
struct SavedOverrides {
  upstream::Monitor::Drains drains;
  std::vector<traffic::Traffic::Saved> traffic;
  std::vector<traffic::Rollouts::Saved> rollouts;
  Closures closed = {};
};

/// The file's text, and back; nothing: it is not such a text.
std::string overrides_text(const SavedOverrides& saved);
std::optional<SavedOverrides> read_overrides(std::string_view text);

/// Main thread.
class Overrides {
 public:
  static constexpr const char* kFileName = "overrides.json";

  Overrides(upstream::Monitor& monitor, traffic::Traffic& traffic, traffic::Rollouts& rollouts,
            Maintenance& maintenance)
      : monitor_(monitor), traffic_(traffic), rollouts_(rollouts), maintenance_(maintenance) {}

  /// Sets what was saved in `folder`, and saves there from now on. A file that cannot be read is logged and put aside
  /// as overrides.json.damaged. Before requests are served.
  void restore(const std::filesystem::path& folder);

  enum class Outcome {
    kUnknown,   ///< there is no such server
    kNotSaved,  ///< done, but a restart will forget it; the reason has been logged
    kDone,
  };
  Outcome drain(const std::string& upstream, const std::string& server, bool drained);

  /// Changes the sites that are closed. False: it was done, but could not be saved.
  bool maintain(const std::function<void(Maintenance&)>& what);

  /// As it is now, after the traffic has been changed or a rollout has gone on. False: a restart will forget it; the
  /// reason has been logged.
  bool save();

  /// Another process keeps them from now on: nothing is saved here any more.
  void let_go() { file_.clear(); }

 private:
  upstream::Monitor& monitor_;
  traffic::Traffic& traffic_;
  traffic::Rollouts& rollouts_;
  Maintenance& maintenance_;
  std::filesystem::path file_;
};

}  // namespace headgate::proxy
