// SPDX-License-Identifier: Apache-2.0
// `compress:` of sites and routes.
#include <algorithm>

#include "config/sections.h"

namespace headgate::config {
namespace {

Parsed<std::string> parse_encoding(std::string_view text) {
  if (text == "zstd" || text == "br" || text == "gzip") return std::string(text);
  return expected("zstd, br or gzip", text);
}

/// A type, or a whole family of them; a star anywhere else would look like more than it does.
Parsed<std::string> parse_media_type(std::string_view text) {
  const auto slash = text.find('/');
  const auto type = text.substr(0, slash);
  const auto subtype = slash == std::string_view::npos ? std::string_view() : text.substr(slash + 1);
  const auto is_name = [](std::string_view part) {
    return parse_token(part).has_value() && part.find('*') == std::string_view::npos;
  };
  if (text != "*/*" && (!is_name(type) || (subtype != "*" && !is_name(subtype)))) {
    return expected("a media type such as text/html or text/*", text);
  }
  return std::string(text);
}

void read_levels(Section& parent, Compress::Levels& levels) {
  const Node* node = parent.find("level");
  if (node == nullptr) return;
  Section section(parent.reader(), *node, schema::kCompressLevel, parent.path("level"));
  section.integer("zstd", levels.zstd, 1, 6);
  section.integer("br", levels.br, 1, 4);
  section.integer("gzip", levels.gzip, 1, 6);
  section.finish();
}

void check_encodings(Section& section, const Compress& compress) {
  const Node* node = section.node().find("encodings");
  if (node == nullptr) return;
  auto sorted = compress.encodings;
  std::sort(sorted.begin(), sorted.end());
  if (node->kind == Node::Kind::kList && node->items.empty()) {
    section.reader().mismatch(*node, section.path("encodings"), "at least one of zstd, br and gzip");
  } else if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    section.reader().error(*node, section.path("encodings") + ": expected each encoding once");
  }
}

Compress read_rules(Section& parent, const Node& node) {
  Compress compress;
  Section section(parent.reader(), node, schema::kCompress, parent.path("compress"));
  section.list("encodings", "zstd, br or gzip", parse_encoding, compress.encodings);
  check_encodings(section, compress);
  section.size("min_size", compress.min_size);
  section.list("types", "a media type such as text/*", parse_media_type, compress.types);
  read_levels(section, compress.level);
  section.finish();
  return compress;
}

}  // namespace

std::optional<std::optional<Compress>> read_compress(Section& parent) {
  const Node* node = parent.find("compress");
  if (node == nullptr) return std::nullopt;
  if (node->kind != Node::Kind::kScalar) return read_rules(parent, *node);
  const auto text = parent.reader().scalar(*node, parent.path("compress"), "on, off or a mapping");
  if (text && *text == "on") return Compress();
  if (text && *text != "off") {
    parent.reader().error(*node, parent.path("compress") + ": " + expected("on, off or a mapping", *text).message);
  }
  return std::optional<Compress>();
}

}  // namespace headgate::config
