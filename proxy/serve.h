// SPDX-License-Identifier: Apache-2.0
// The path of a request, from a head that has been read to an answer that has been sent. Read serve.cc first.
#pragma once

#include "auth/verifier.h"
#include "proxy/body_budget.h"
#include "proxy/handlers/file_cache.h"
#include "proxy/handlers/mirror.h"
#include "proxy/maintenance.h"
#include "proxy/request.h"

namespace headgate::proxy {

/// What of its worker a request may use. Loop thread only.
struct Surroundings {
  Loop& loop;
  FileCache& files;
  auth::Verifier& verifier;
  BodyBudget& bodies;  ///< of the process
  Mirrors& mirrors;
  int https_port;                          ///< of the first TLS listener; 0: there is none
  const Closures* closed_sites = nullptr;  ///< null: none is closed. To be looked at before the first wait
};

/// Answers the request. Returns when the answer is complete, was broken off, or the client is gone; request.error then
/// says why, if there is something to say.
Task<Result<>> serve(Request& request, const Surroundings& surroundings);

/// Answers what a session could not make a request of.
Task<Result<>> refuse(Request& request, const http::Rejection& rejection);

}  // namespace headgate::proxy
