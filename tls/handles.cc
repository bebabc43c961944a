// SPDX-License-Identifier: Apache-2.0
#include "tls/handles.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace headgate::tls {

void Free::operator()(bio_st* bio) const {
  BIO_free(bio);
}
void Free::operator()(evp_pkey_st* key) const {
  EVP_PKEY_free(key);
}
void Free::operator()(ssl_ctx_st* settings) const {
  SSL_CTX_free(settings);
}
void Free::operator()(ssl_session_st* session) const {
  SSL_SESSION_free(session);
}
void Free::operator()(ssl_st* connection) const {
  SSL_free(connection);
}
void Free::operator()(x509_st* certificate) const {
  X509_free(certificate);
}

}  // namespace headgate::tls
