// SPDX-License-Identifier: Apache-2.0
// What an operator has set in place of the configuration: servers that are drained. The Monitor acts on it; here it is
// kept in state_dir, so that it survives a restart. What the file names and the configuration does not is kept, too: it
// may come back with the next reload.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "upstream/monitor.h"

namespace headgate::proxy {

/// The file's text, and back; nothing: it is not such a text.
std::string overrides_text(const upstream::Monitor::Drains& drains);
std::optional<upstream::Monitor::Drains> read_overrides(std::string_view text);

/// Main thread.
class Overrides {
 public:
  static constexpr const char* kFileName = "overrides.json";

  explicit Overrides(upstream::Monitor& monitor) : monitor_(monitor) {}

  /// Sets what was saved in `folder`, and saves there from now on. A file that cannot be read is logged and put aside
  /// as overrides.json.damaged. Before requests are served.
  void restore(const std::filesystem::path& folder);

  enum class Outcome {
    kUnknown,   ///< there is no such server
    kNotSaved,  ///< done, but a restart will forget it; the reason has been logged
    kDone,
  };
  Outcome drain(const std::string& upstream, const std::string& server, bool drained);

 private:
  upstream::Monitor& monitor_;
  std::filesystem::path file_;
};

}  // namespace headgate::proxy
