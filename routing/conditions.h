// SPDX-License-Identifier: Apache-2.0
// The further conditions of a route: methods, headers, query, client. They read the configuration's own values, so a
// route costs no memory here. Any thread; asking allocates nothing.
#pragma once

#include <string>

#include "config/model.h"
#include "routing/route_table.h"

namespace headgate::routing {

/// True when every condition holds. Methods are case-sensitive, and GET stands for HEAD too (RFC 9110 section 9.3.2).
/// A header or query condition holds when one field or parameter of that name has that value; "" or "*": any value.
bool conditions_hold(const config::Conditions& conditions, const RequestView& request);

/// The first condition that does not hold, as a sentence: "the method is GET, expected POST or PUT"; empty when all do.
std::string failing_condition(const config::Conditions& conditions, const RequestView& request);

}  // namespace headgate::routing
