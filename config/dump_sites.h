// SPDX-License-Identifier: Apache-2.0
// The part of dump() that writes `sites:`. Internal to this folder.
#pragma once

#include "config/model.h"
#include "config/yaml_writer.h"

namespace headgate::config {

void dump_sites(YamlWriter& out, const Config& config);

}  // namespace headgate::config
