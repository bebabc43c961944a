// SPDX-License-Identifier: Apache-2.0
// docs/configuration.md out of the schema. A test compares the two, and says how to print it again.
#include <string>

#include "config/availability.h"
#include "config/schema.h"

namespace headgate::config {
namespace {

// A bar would end the table's cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string row(const Schema& schema, const Key& key) {
  std::string line = "| `" + std::string(key.name) + "` | " + cell(key.type) + " | ";
  if (!key.fallback.empty()) line += "`" + cell(key.fallback) + "`";
  line += " | " + cell(key.text);
  const std::string path =
      schema.path.empty() ? std::string(key.name) : std::string(schema.path) + "." + std::string(key.name);
  const std::string_view missing = unavailable_part(path);
  if (missing == "*") line += " *Not available yet.*";
  if (!missing.empty() && missing != "*") line += " *Not available yet: " + std::string(missing) + ".*";
  return line + " |\n";
}

// Whether the whole section is a key, or belongs to one, that is not available.
bool is_missing(const Schema& schema) {
  for (std::string_view path = schema.path; !path.empty();) {
    if (unavailable_part(path) == "*") return true;
    const auto dot = path.rfind('.');
    path = path.substr(0, dot == std::string_view::npos ? 0 : dot);
  }
  return false;
}

constexpr std::string_view kIntroduction = R"(# Configuration

Every key, with its type and default. This page is printed from the tables that the reader itself works by.

A mistake is answered with `FILE:LINE:COL: message`, all mistakes of a file at once: `headgate check -c FILE`. An unknown
key is a mistake. So is a key of a feature that this version does not have yet: it is marked below, and refused with
"not available yet" where it would have an effect. `headgate dump -c FILE` prints the effective configuration.

- **duration**: `500ms`, `5s`, `2m`, `1h`. **size**: `512`, `64KiB`, `20MiB`, `1GB`. **rate**: `100/s`, `600/m`, `1000/h`.
- **boolean**: `true` or `false`. **list**: a single value may stand for a list of one.
- **path**: of a file; a relative one begins at the folder of the configuration file, and so does one behind `unix:`.
- **template**: a text with variables: `$remote_addr`, `$host`, `$scheme`, `$method`, `$uri` (decoded and normalised),
  `$request_uri` (as sent), `$query`, `$arg_NAME`, `$http_NAME`, `$cookie_NAME`, `$server_port`, `$request_id`,
  `$tls_version`, `$pool`, `$upstream_addr`, `$status`, and `$1` to `$9` of the route's regular expression. `$$` is a
  dollar sign.
- `${NAME}` and `${NAME:-default}` in any value are filled in from the environment; a variable that is not set and has
  no default is a mistake. `$${` stands for a plain `${`. In a template, a name in lower case is a template's variable.
- YAML anchors, aliases and merge keys (`<<`) work. A file may have 16 MiB.
)";

}  // namespace

std::string schema_markdown() {
  std::string out(kIntroduction);
  for (const Schema* schema : all_schemas()) {
    out += "\n## " + std::string(schema->title) + "\n\n";
    if (is_missing(*schema)) out += "*Not available yet.*\n\n";
    if (!schema->text.empty()) out += std::string(schema->text) + "\n\n";
    out += "| key | type | default | |\n|---|---|---|---|\n";
    for (const Key& key : schema->keys) out += row(*schema, key);
  }
  return out;
}

}  // namespace headgate::config
