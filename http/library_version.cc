// SPDX-License-Identifier: Apache-2.0
#include "http/library_version.h"

#include <llhttp.h>

namespace headgate::http {

std::string parser_version() {
  return std::to_string(LLHTTP_VERSION_MAJOR) + "." + std::to_string(LLHTTP_VERSION_MINOR) + "." +
         std::to_string(LLHTTP_VERSION_PATCH);
}

}  // namespace headgate::http
