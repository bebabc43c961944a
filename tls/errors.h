// SPDX-License-Identifier: Apache-2.0
// From OpenSSL's error queue to our Error: a token for logs and metrics; the library's own text goes to the debug log.
// The queue belongs to the thread, so whatever is left in it would be blamed on the next connection: every function
// here leaves it empty.
#pragma once

#include <stdexcept>
#include <string>

#include "base/result.h"
#include "tls/handles.h"

namespace headgate::tls {

/// A certificate, key, list of ciphers or CA file that cannot be used. Start-up and reload only, never the data path.
class TlsError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The texts of the thread's error queue, first cause first, joined by ", "; empties the queue. "no details" when
/// there were none.
std::string take_error_text();

/// Empties the queue.
void clear_errors();

/// Why a handshake failed that OpenSSL gave up (SSL_ERROR_SSL). Logs the text at debug level.
Error handshake_failure(ssl_st* connection, Side side);

/// The same for a record after the handshake.
Error record_failure(Side side);

/// True when the first error of the queue says that the transport ended without a close_notify.
bool is_truncation();

}  // namespace headgate::tls
