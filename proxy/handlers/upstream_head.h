// SPDX-License-Identifier: Apache-2.0
// The heads on both sides of a proxied request: what of a client's head goes to the origin, and what of the origin's
// to the client. Written anew from the model; nothing that frames a message or belongs to one connection passes.
#pragma once

#include "http/message.h"
#include "proxy/request.h"

namespace headgate::proxy {

/// The request as the origin gets it. Views into the exchange and its arena.
http::RequestHead upstream_request(Request& request);

/// Takes out of an origin's answer what was for this hop alone (RFC 9110 section 7.6.1). `upgrading`: a 101, whose
/// Upgrade field stays.
void remove_hop_by_hop(http::Fields& fields, bool upgrading);

}  // namespace headgate::proxy
