// SPDX-License-Identifier: Apache-2.0
// `headgate explain`: the action static, with its roots or pools, and what it would answer.
#pragma once

#include "config/model.h"
#include "proxy/cli/question.h"

namespace headgate::cli {

/// Cuts the route's prefix off the question's path.
void explain_static(const config::Route& route, const config::Static& files, Question& question);

}  // namespace headgate::cli
