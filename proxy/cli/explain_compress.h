// SPDX-License-Identifier: Apache-2.0
// The line of `explain` about compression.
#pragma once

#include "config/model.h"

namespace headgate::cli {

/// Nothing for a route that has no say about it.
void explain_compress(const config::Site& site, const config::Route& route);

}  // namespace headgate::cli
