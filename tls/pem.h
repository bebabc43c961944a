// SPDX-License-Identifier: Apache-2.0
// PEM text to OpenSSL's objects. Internal to this folder. All throw TlsError with a reason fit for a log line, and
// leave the error queue empty.
#pragma once

#include <string>
#include <vector>

#include "tls/certificates.h"
#include "tls/handles.h"

namespace headgate::tls {

/// A pair as OpenSSL wants it. Not shared between threads on the handshake's path.
struct ParsedPair {
  X509Ptr leaf;
  std::vector<X509Ptr> chain;  // without the leaf
  KeyPtr key;
};

ParsedPair parse_pair(const PemPair& pem);
std::vector<X509Ptr> parse_certificates(const std::string& pem);
KeyPtr parse_key(const std::string& pem);

/// Adds the pair to a context, beside those of other key types.
void use_pair(ssl_ctx_st* settings, const ParsedPair& pair);
/// The same for one connection. False when OpenSSL refuses.
bool use_pair(ssl_st* connection, const ParsedPair& pair);

/// The file's text, at most 1 MiB; throws TlsError with the system's words.
std::string read_pem_file(const std::string& path);

}  // namespace headgate::tls
