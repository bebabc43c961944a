// SPDX-License-Identifier: Apache-2.0
// What the edge knows of gRPC over HTTP/2: which requests are calls, their deadline, and how a failure of our own is
// told (the protocol's documents PROTOCOL-HTTP2 and http-grpc-status-mapping of the gRPC project). Pure functions, any
// thread.
#pragma once

#include <optional>
#include <string_view>

#include "base/arena.h"
#include "base/time.h"
#include "http/fields.h"

namespace headgate::proxy {

/// Content-Type is application/grpc, or that with a format (+proto) or parameters.
bool is_grpc(const http::Fields& fields);

/// A grpc-timeout: up to eight digits and a unit of H, M, S, m, u, n. Nothing for what is none, or for more than a
/// year.
std::optional<Duration> parse_grpc_timeout(std::string_view text);

/// A grpc-timeout for what is left of a deadline: rounded down, in the finest unit that it fits in; at least 1n.
std::string_view grpc_timeout(Duration left, Arena& arena);

/// grpc-status for a status that HTTP would have answered with, as text.
std::string_view grpc_status(int http_status);

/// The status of HTTP that a server's own grpc-status stands for when it says that the server, and not the caller, has
/// failed: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS. 0: it does not.
int status_of_failed_call(std::string_view grpc_status);

/// The text as grpc-message has it: what is not printable ASCII, and the percent sign, in percent encoding.
std::string_view grpc_message(std::string_view text, Arena& arena);

}  // namespace headgate::proxy
