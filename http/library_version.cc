// SPDX-License-Identifier: Apache-2.0
#include "http/library_version.h"

#include <nghttp2/nghttp2.h>

namespace headgate::http {

std::string http2_version() {
  return nghttp2_version(0)->version_str;
}

}  // namespace headgate::http
