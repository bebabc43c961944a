// SPDX-License-Identifier: Apache-2.0
// The part of dump() that writes `sites:`, and what others share with it. Internal to this folder.
#pragma once

#include "config/model.h"
#include "config/yaml_writer.h"

namespace headgate::config {

void dump_sites(YamlWriter& out, const Config& config);
/// Of an upstream or of static pools, in the mapping that is open.
void dump_split_rules(YamlWriter& out, const SplitRules& rules);

}  // namespace headgate::config
