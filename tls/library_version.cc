// SPDX-License-Identifier: Apache-2.0
#include "tls/library_version.h"

#include <openssl/crypto.h>

namespace headgate::tls {

std::string library_version() {
  return OpenSSL_version(OPENSSL_VERSION);
}

}  // namespace headgate::tls
