// SPDX-License-Identifier: Apache-2.0
// ${NAME} and ${NAME:-default} in values. The lookup is passed in, so that tests need no process environment.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/parsed.h"

namespace headgate::config {

/// The value of a variable, or nothing when it is not set.
using Environment = std::function<std::optional<std::string>(std::string_view)>;

/// Looks variables up in this process.
Environment process_environment();

/// Templates have variables of their own, which may be written ${host}: in them a name that begins with a lower-case
/// letter is left for the template.
enum class Substitute { kEverything, kTemplate };

/// Fills in the variables once (a value is not searched again). "$${" stands for a plain "${". An unset or empty
/// variable takes its default, if it has one; an unset one without a default is an error.
Parsed<std::string> substitute(std::string_view text, const Environment& environment, Substitute mode);

/// The other way: a text that substitute() turns back into `text`.
std::string escape_variables(std::string_view text);

}  // namespace headgate::config
