// SPDX-License-Identifier: Apache-2.0
// The answers that need neither a file nor an origin: redirect and respond; and what paths have in common.
#pragma once

#include "proxy/request.h"

namespace headgate::proxy {

/// The route's redirect. Variables that stand for decoded paths are encoded again, so that the target is a URL whatever
/// was asked for.
Task<Result<>> respond_redirect(Request& request);

/// The route's fixed answer; its body is a template.
Task<Result<>> respond_fixed(Request& request);

/// OPTIONS * (RFC 9110 section 9.3.7) is about the server, not a site.
Task<Result<>> respond_options_asterisk(Request& request);

/// `path` without `prefix` where it begins with that and a segment ends there, always with a leading slash.
std::string_view strip_prefix(std::string_view path, std::string_view prefix);

}  // namespace headgate::proxy
