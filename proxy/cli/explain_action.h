// SPDX-License-Identifier: Apache-2.0
// The last part of `explain`: what the route that was found does. Internal to this folder.
#pragma once

#include <string>
#include <string_view>

#include "config/model.h"
#include "proxy/cli/question.h"

namespace headgate::cli {

/// "site        shop.example.com": a first column of fixed width; without a name the line belongs to the one before.
void print_line(std::string_view name, const std::string& text);

void explain_action(const config::Config& config, const config::Site& site, const config::Route& route,
                    Question& question);

}  // namespace headgate::cli
