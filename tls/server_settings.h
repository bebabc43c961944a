// SPDX-License-Identifier: Apache-2.0
// The keys of the `tls` section as an SSL_CTX: versions, ciphers, curves, client certificates; everything but the
// server's own certificates and the callbacks. Internal to this folder.
#pragma once

#include <string>

#include "config/model.h"
#include "tls/handles.h"

namespace headgate::tls {

/// `client_ca`: PEM text, empty for none. Throws TlsError naming the key of the configuration.
SslCtxPtr make_server_settings(const config::Tls& settings, const std::string& client_ca);

/// What both sides have in common: modes, options, no session cache of OpenSSL's own.
void apply_common_settings(ssl_ctx_st* settings);

}  // namespace headgate::tls
