// SPDX-License-Identifier: Apache-2.0
// Media types by file name (RFC 9110 section 8.3): a built-in table, so that the same build answers the same
// everywhere, whatever the machine's own tables say. Pure; any thread; the views are constants.
#pragma once

#include <string_view>

namespace headgate::http {

/// What follows the last dot of the last segment; empty for none and for names that only begin with a dot.
std::string_view extension_of(std::string_view path);

/// The whole field value for a file, charset=utf-8 included for text; application/octet-stream when unknown.
std::string_view content_type_of(std::string_view path);

/// True when the name has the extension of something that a page loads (script, style, image, font, data, media,
/// download), as opposed to a page itself or a name that merely has a dot in it ("/users/john.doe", "/docs/v1.2").
bool is_asset_name(std::string_view path);

}  // namespace headgate::http
