// SPDX-License-Identifier: Apache-2.0
// The action `static`.
#include "config/sections.h"

namespace headgate::config {
namespace {

Parsed<std::string> parse_precompressed(std::string_view text) {
  if (text == "br" || text == "gzip") return std::string(text);
  return expected("br or gzip", text);
}

/// In place of a root. What commands call them, where the file does not say it, follows from the site: validate().
void read_static_pools(Section& section, Static& files) {
  Reader& reader = section.reader();
  section.pairs("pools", files.pools, TextRule::kFile);
  std::vector<std::string_view> names;
  for (const auto& [name, folder] : files.pools) {
    names.push_back(name);
    if (const auto sound = parse_name(name); !sound)
      reader.error(*section.node().find("pools"), section.path("pools") + ": " + sound.error().message);
    if (folder.empty())
      reader.error(*section.node().find("pools"), section.path("pools") + ": expected a folder for " + name);
  }
  section.parse("name", "a name", parse_name, files.name);
  read_split_rules(section, names, files);
  const bool has_pools = section.has("pools");
  if (has_pools && section.has("root")) {
    reader.error(*section.node().find("root"), section.path("root") + ": expected either root or pools, got both");
  }
  if (!has_pools && !section.has("root")) {
    reader.error(section.node(), section.path() + ": expected the key 'root', or pools");
  }
  if (has_pools && files.pools.empty()) {
    reader.mismatch(*section.node().find("pools"), section.path("pools"), "at least one pool");
  }
  constexpr std::string_view kForPools[] = {"name",         "split",          "split_by",      "split_key",
                                            "split_cookie", "at_zero_weight", "split_override"};
  for (const auto key : kForPools) {
    if (has_pools) break;
    if (const Node* node = section.node().find(key))
      reader.error(*node, section.path(key) + ": has no effect without pools");
  }
}

}  // namespace

Static read_static(Section& parent, const Node& node) {
  Reader& reader = parent.reader();
  Static files;
  files.position = reader.position(node);
  Section section(reader, node, schema::kStatic, parent.path("static"));
  if (const Node* root = section.find("root")) {
    files.position = reader.position(*root);
    if (auto text = reader.text(*root, section.path("root"), TextRule::kFile, "a folder"))
      files.root = *std::move(text);
    if (files.root.empty() && root->kind == Node::Kind::kScalar)
      reader.mismatch(*root, section.path("root"), "a folder");
  }
  section.texts("index", files.index);
  section.boolean("autoindex", files.autoindex);
  section.texts("try_files", files.try_files, TextRule::kTemplate);
  section.boolean("spa", files.spa);
  if (files.spa && !files.try_files.empty()) {
    reader.error(*node.find("try_files"),
                 section.path("try_files") + ": expected either spa: true or try_files, got both");
  }
  section.texts("also", files.also, TextRule::kFile);
  section.list("precompressed", "br or gzip", parse_precompressed, files.precompressed);
  section.pairs("cache_control", files.cache_control, TextRule::kLine);
  section.choice<Static::HiddenFiles>("hidden_files", files.hidden_files,
                                      {{"deny", Static::HiddenFiles::kDeny}, {"allow", Static::HiddenFiles::kAllow}});
  section.choice<Static::FollowSymlinks>("follow_symlinks", files.follow_symlinks,
                                         {{"within_root", Static::FollowSymlinks::kWithinRoot},
                                          {"always", Static::FollowSymlinks::kAlways},
                                          {"never", Static::FollowSymlinks::kNever}});
  read_static_pools(section, files);
  section.finish();
  return files;
}

}  // namespace headgate::config
