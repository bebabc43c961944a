// SPDX-License-Identifier: Apache-2.0
// The part of `explain` that says who may come in. Internal to this folder.
#pragma once

#include "config/model.h"
#include "proxy/cli/question.h"

namespace headgate::cli {

/// By address, for this client.
void explain_access(const config::Site& site, const config::Route& route, const Question& question);

/// By password and by a service.
void explain_proof(const config::Site& site, const config::Route& route);

}  // namespace headgate::cli
