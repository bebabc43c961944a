// SPDX-License-Identifier: Apache-2.0
// The heads on both sides of a proxied request: what of a client's head goes to the origin, and what of the origin's
// to the client. Written anew from the model; nothing that frames a message or belongs to one connection passes.
#pragma once

#include "http/message.h"
#include "proxy/request.h"

namespace headgate::proxy {

/// The request as the origin gets it. Views into the exchange and its arena.
http::RequestHead upstream_request(Request& request);

/// What of the client's fields may go on, and who it is, what it asked for and under which id. Views likewise.
void add_forwarded_fields(Request& request, http::Fields& fields);

/// Takes out the fields that an application could take for one of that name: in any case, with "_" for "-".
void remove_alike(http::Fields& fields, std::string_view name);

/// Takes out of an origin's answer what was for this hop alone (RFC 9110 section 7.6.1). `upgrading`: a 101, whose
/// Upgrade field stays.
void remove_hop_by_hop(http::Fields& fields, bool upgrading);

}  // namespace headgate::proxy
