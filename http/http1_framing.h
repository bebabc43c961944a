// SPDX-License-Identifier: Apache-2.0
// What the fields of a well-formed head say about its message: where the body ends (RFC 9112 section 6), for which host
// and path it is (sections 3.2 and 3.3), whether the connection stays (section 9.3). Pure functions; each refuses what
// a neighbour might read otherwise, and returns nullptr or why: a literal that lives for ever.
#pragma once

#include "http/message.h"
#include "http/rejection.h"

namespace headgate::http {

struct Framing {
  BodyKind body = BodyKind::kNone;
  std::uint64_t content_length = 0;
};

/// Content-Length and Transfer-Encoding, of which one may stand there, once, and say one thing. The status is that of
/// requests: for responses it means 502.
const Rejection* frame(const Fields& fields, Framing& framing);

/// Fills authority, path and query, and takes the authority off the target, from target and Host.
const Rejection* settle_target(RequestHead& head);

/// What Connection and the version say.
bool stays_open(const Fields& fields, Version version);

}  // namespace headgate::http
