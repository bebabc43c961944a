// SPDX-License-Identifier: Apache-2.0
// Reading a configuration: YAML text in, typed values and every complaint out.
//
// Nothing here throws for what a file contains: all errors of a file and of those it includes are collected in one
// run. Any thread; no state is kept between calls. A file may have 16 MiB and a nesting of 64 levels.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/environment.h"
#include "config/model.h"

namespace headgate::config {

/// What this folder cannot judge itself, because the code that can lies above it: each function returns what is wrong
/// with a text, or nothing. One that is not set checks nothing.
struct Checks {
  std::function<std::optional<std::string>(std::string_view)> check_template;
  std::function<std::optional<std::string>(std::string_view)> check_regex;
};

/// What a file came to. The three lists are in the order file, line, column; the file itself stands before those that
/// it includes.
struct Loaded {
  Config config;                   ///< complete only when there are no errors
  std::vector<Diagnostic> errors;  ///< the file is wrong
  std::vector<Diagnostic>
      not_available;                 ///< the file is right, but this version cannot do it: "not available yet: KEY"
  std::vector<Diagnostic> warnings;  ///< allowed, but hardly meant

  bool usable() const { return errors.empty() && not_available.empty(); }
};

Loaded load_file(const std::string& path, const Environment& environment, const Checks& checks = {});

/// As load_file, with the text at hand. `name` stands in the messages, and its folder is where relative paths begin.
Loaded load_text(const std::string& text, const std::string& name, const Environment& environment,
                 const Checks& checks = {});

/// Puts the lists in the order that Loaded promises, after something has added to them.
void sort_by_place(Loaded& loaded);

/// The effective configuration as YAML: included files merged, the environment filled in, every default written out.
/// Loading a dump gives the same configuration. An option that is not available yet is written only where it was set.
std::string dump(const Config& config);

}  // namespace headgate::config
