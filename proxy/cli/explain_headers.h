// SPDX-License-Identifier: Apache-2.0
// The part of `explain` about the heads of answers, error pages and maintenance. Internal to this folder.
#pragma once

#include "config/model.h"
#include "proxy/cli/question.h"

namespace headgate::cli {

/// What the request's answer has of our own: each field as it goes out, and who says so. `route` is null for a request
/// that found none.
void explain_response_headers(const config::Site& site, const config::Route* route, const Question& question);

/// The answer to a preflight of this route, or of a site without one.
void explain_preflight(const config::Site& site, const config::Route* route, const Question& question);

/// What stands for the site's errors, and what the maintenance switch would do.
void explain_errors(const config::Site& site);

}  // namespace headgate::cli
