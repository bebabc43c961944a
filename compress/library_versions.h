// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace headgate::compress {

/// Of the libraries that this program runs with: "zlib 1.2.13, ...".
std::string library_versions();

}  // namespace headgate::compress
