// SPDX-License-Identifier: Apache-2.0
// Owners of OpenSSL's objects. OpenSSL's own headers are included by this folder's sources only, so that nothing above
// depends on them: here its types are names.
#pragma once

#include <memory>

struct bio_st;
struct evp_pkey_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;
struct x509_st;

namespace headgate::tls {

struct Free {
  void operator()(bio_st* bio) const;
  void operator()(evp_pkey_st* key) const;
  void operator()(ssl_ctx_st* settings) const;
  void operator()(ssl_session_st* session) const;
  void operator()(ssl_st* connection) const;
  void operator()(x509_st* certificate) const;
};

using BioPtr = std::unique_ptr<bio_st, Free>;
using KeyPtr = std::unique_ptr<evp_pkey_st, Free>;
using SslCtxPtr = std::unique_ptr<ssl_ctx_st, Free>;
using SessionPtr = std::unique_ptr<ssl_session_st, Free>;
using SslPtr = std::unique_ptr<ssl_st, Free>;
using X509Ptr = std::unique_ptr<x509_st, Free>;

}  // namespace headgate::tls
