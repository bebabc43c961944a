// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace headgate::http {

/// Of the llhttp that this program was built with: "8.1.0".
std::string parser_version();

}  // namespace headgate::http
