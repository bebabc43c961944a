// SPDX-License-Identifier: Apache-2.0
// The program's own log (not the access log): log::info("listening on {}", address). Any thread; lines are whole.
// On the request path only failures are logged, and those that clients can cause go through debug or a counter,
// or have a bound (base/line_limit.h).
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace headgate::log {

enum class Format { kText, kJson };

/// Where lines go from now on. `output`: "stderr", "stdout" or a path (opened for append). `level`: trace, debug, info,
/// warn, error. Throws std::system_error when the file cannot be opened; the old output then stays.
void configure(const std::string& level, Format format, const std::string& output);

/// Opens a file output again (after rotation); the old file stays in use when that fails.
void reopen();

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::debug(format, std::forward<Args>(args)...);
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::info(format, std::forward<Args>(args)...);
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::warn(format, std::forward<Args>(args)...);
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  spdlog::error(format, std::forward<Args>(args)...);
}

}  // namespace headgate::log
