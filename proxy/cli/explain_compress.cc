// SPDX-License-Identifier: Apache-2.0
#include "proxy/cli/explain_compress.h"

#include "config/units.h"
#include "proxy/cli/explain_action.h"

namespace headgate::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string with_levels(const config::Compress& rules) {
  std::vector<std::string> encodings;
  for (const auto& name : rules.encodings) {
    const int level = name == "zstd" ? rules.level.zstd : name == "br" ? rules.level.br : rules.level.gzip;
    encodings.push_back(name + " (level " + std::to_string(level) + ")");
  }
  return joined(encodings);
}

}  // namespace

void explain_compress(const config::Site& site, const config::Route& route) {
  const bool own = static_cast<bool>(route.compress);
  const auto& rules = own ? *route.compress : site.compress;
  const std::string whose = own ? " (of the route)" : " (of the site)";
  if (!rules) {
    if (own) print_line("compress", "off" + whose);
    return;
  }
  print_line("compress", with_levels(*rules) + whose);
  print_line("", "of " + joined(rules->types) + ", from " + config::size_text(rules->min_size) + " on");
}

}  // namespace headgate::cli
