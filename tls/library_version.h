// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace headgate::tls {

/// Of the OpenSSL that this process runs with: "OpenSSL 3.0.15 3 Sep 2024".
std::string library_version();

}  // namespace headgate::tls
