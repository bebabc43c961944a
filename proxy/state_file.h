// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace headgate::proxy {

/// Replaces a file in one step (written beside it, then renamed), readable by its owner alone. False: it was not
/// possible, which has been logged; the old file is as it was.
bool save_privately(const std::filesystem::path& file, std::string_view bytes);

/// The whole file, up to 16 MiB; nullopt when it cannot be read.
std::optional<std::string> load_file(const std::filesystem::path& file);

}  // namespace headgate::proxy
