// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace headgate::http {

/// Why a session could not make a request of what arrived: the status to answer with, a reason token and a sentence
/// for the client; both are literals.
struct Rejection {
  int status = 400;
  const char* reason = "bad_request";
  const char* detail = "";
};

}  // namespace headgate::http
