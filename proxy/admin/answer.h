// SPDX-License-Identifier: Apache-2.0
// How the admin listener answers: small JSON documents and errors of one form.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "http/exchange.h"

namespace headgate::proxy {

/// As text; bytes that are not UTF-8, as names from outside may hold them, are replaced.
std::string to_text(const nlohmann::json& document);

/// {"error": {"code": ..., "message": ...}}
std::string error_json(std::string_view code, std::string_view message);

/// The whole answer, with a newline: JSON when it begins with a brace, else plain text.
Task<> respond(http::Exchange& exchange, int status, std::string body);

/// The request's body; nothing: it is too long, or did not come.
Task<std::optional<std::string>> read_text(http::Exchange& exchange);

/// 405, with the methods that the resource takes.
Task<> refuse_method(http::Exchange& exchange, const char* allowed);

}  // namespace headgate::proxy
