// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace headgate::http {

/// Of the nghttp2 that this program runs with: "1.52.0".
std::string http2_version();

}  // namespace headgate::http
