// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace headgate::proxy {

/// Of the program; CMakeLists.txt gives it.
inline constexpr const char* kVersion = HEADGATE_VERSION;

}  // namespace headgate::proxy
