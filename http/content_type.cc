// SPDX-License-Identifier: Apache-2.0
#include "http/content_type.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace headgate::http {
namespace {

enum class Use : std::uint8_t { kAsset, kPage };

struct Entry {
  std::string_view extension;
  std::string_view type;
  Use use = Use::kAsset;
};

// Sorted by extension; the compiler checks it below. Types are those of the IANA registry where it has one;
// text/javascript by RFC 9239, fonts by RFC 8081.
constexpr std::array kTable = {
    Entry{"3g2", "video/3gpp2"},
    Entry{"3gp", "video/3gpp"},
    Entry{"7z", "application/x-7z-compressed"},
    Entry{"aac", "audio/aac"},
    Entry{"ai", "application/postscript"},
    Entry{"apk", "application/vnd.android.package-archive"},
    Entry{"apng", "image/apng"},
    Entry{"atom", "application/atom+xml; charset=utf-8"},
    Entry{"avi", "video/x-msvideo"},
    Entry{"avif", "image/avif"},
    Entry{"bin", "application/octet-stream"},
    Entry{"bmp", "image/bmp"},
    Entry{"br", "application/x-brotli"},
    Entry{"bz2", "application/x-bzip2"},
    Entry{"cjs", "text/javascript; charset=utf-8"},
    Entry{"crt", "application/x-x509-ca-cert"},
    Entry{"css", "text/css; charset=utf-8"},
    Entry{"csv", "text/csv; charset=utf-8"},
    Entry{"cur", "image/x-icon"},
    Entry{"deb", "application/vnd.debian.binary-package"},
    Entry{"dmg", "application/x-apple-diskimage"},
    Entry{"doc", "application/msword"},
    Entry{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    Entry{"eot", "application/vnd.ms-fontobject"},
    Entry{"epub", "application/epub+zip"},
    Entry{"exe", "application/vnd.microsoft.portable-executable"},
    Entry{"flac", "audio/flac"},
    Entry{"geojson", "application/geo+json"},
    Entry{"gif", "image/gif"},
    Entry{"glb", "model/gltf-binary"},
    Entry{"gltf", "model/gltf+json"},
    Entry{"gz", "application/gzip"},
    Entry{"heic", "image/heic"},
    Entry{"heif", "image/heif"},
    Entry{"htm", "text/html; charset=utf-8", Use::kPage},
    Entry{"html", "text/html; charset=utf-8", Use::kPage},
    Entry{"ico", "image/x-icon"},
    Entry{"ics", "text/calendar; charset=utf-8"},
    Entry{"iso", "application/octet-stream"},
    Entry{"jar", "application/java-archive"},
    Entry{"jpeg", "image/jpeg"},
    Entry{"jpg", "image/jpeg"},
    Entry{"js", "text/javascript; charset=utf-8"},
    Entry{"json", "application/json"},
    Entry{"json5", "application/json5"},
    Entry{"jsonld", "application/ld+json"},
    Entry{"jsx", "text/javascript; charset=utf-8"},
    Entry{"jxl", "image/jxl"},
    Entry{"kml", "application/vnd.google-earth.kml+xml"},
    Entry{"m3u8", "application/vnd.apple.mpegurl"},
    Entry{"m4a", "audio/mp4"},
    Entry{"m4s", "video/iso.segment"},
    Entry{"m4v", "video/mp4"},
    Entry{"map", "application/json"},
    Entry{"md", "text/markdown; charset=utf-8", Use::kPage},
    Entry{"mid", "audio/midi"},
    Entry{"mjs", "text/javascript; charset=utf-8"},
    Entry{"mkv", "video/matroska"},
    Entry{"mov", "video/quicktime"},
    Entry{"mp3", "audio/mpeg"},
    Entry{"mp4", "video/mp4"},
    Entry{"mpd", "application/dash+xml"},
    Entry{"mpeg", "video/mpeg"},
    Entry{"mpg", "video/mpeg"},
    Entry{"msi", "application/octet-stream"},
    Entry{"ndjson", "application/x-ndjson"},
    Entry{"odp", "application/vnd.oasis.opendocument.presentation"},
    Entry{"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    Entry{"odt", "application/vnd.oasis.opendocument.text"},
    Entry{"oga", "audio/ogg"},
    Entry{"ogg", "audio/ogg"},
    Entry{"ogv", "video/ogg"},
    Entry{"opus", "audio/ogg"},
    Entry{"otf", "font/otf"},
    Entry{"parquet", "application/vnd.apache.parquet"},
    Entry{"pdf", "application/pdf"},
    Entry{"pem", "application/x-pem-file"},
    Entry{"png", "image/png"},
    Entry{"ppt", "application/vnd.ms-powerpoint"},
    Entry{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    Entry{"ps", "application/postscript"},
    Entry{"rar", "application/vnd.rar"},
    Entry{"rpm", "application/x-rpm"},
    Entry{"rss", "application/rss+xml; charset=utf-8"},
    Entry{"rtf", "application/rtf"},
    Entry{"sh", "text/plain; charset=utf-8"},
    Entry{"shtml", "text/html; charset=utf-8", Use::kPage},
    Entry{"sql", "application/sql"},
    Entry{"stl", "model/stl"},
    Entry{"svg", "image/svg+xml"},
    Entry{"tar", "application/x-tar"},
    Entry{"tgz", "application/gzip"},
    Entry{"tif", "image/tiff"},
    Entry{"tiff", "image/tiff"},
    Entry{"toml", "application/toml"},
    Entry{"ts", "video/mp2t"},
    Entry{"tsv", "text/tab-separated-values; charset=utf-8"},
    Entry{"ttc", "font/collection"},
    Entry{"ttf", "font/ttf"},
    Entry{"txt", "text/plain; charset=utf-8"},
    Entry{"usdz", "model/vnd.usdz+zip"},
    Entry{"vcf", "text/vcard; charset=utf-8"},
    Entry{"vtt", "text/vtt; charset=utf-8"},
    Entry{"wasm", "application/wasm"},
    Entry{"wav", "audio/wav"},
    Entry{"weba", "audio/webm"},
    Entry{"webm", "video/webm"},
    Entry{"webmanifest", "application/manifest+json"},
    Entry{"webp", "image/webp"},
    Entry{"woff", "font/woff"},
    Entry{"woff2", "font/woff2"},
    Entry{"xht", "application/xhtml+xml", Use::kPage},
    Entry{"xhtml", "application/xhtml+xml", Use::kPage},
    Entry{"xls", "application/vnd.ms-excel"},
    Entry{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    Entry{"xml", "text/xml; charset=utf-8"},
    Entry{"xsl", "text/xml; charset=utf-8"},
    Entry{"xz", "application/x-xz"},
    Entry{"yaml", "application/yaml"},
    Entry{"yml", "application/yaml"},
    Entry{"zip", "application/zip"},
    Entry{"zst", "application/zstd"},
};

constexpr bool by_extension(const Entry& a, const Entry& b) {
  return a.extension < b.extension;
}
static_assert(std::is_sorted(kTable.begin(), kTable.end(), by_extension));

constexpr std::size_t kLongestExtension = 11;  // webmanifest
static_assert(std::all_of(kTable.begin(), kTable.end(),
                          [](const Entry& entry) { return entry.extension.size() <= kLongestExtension; }));

const Entry* find(std::string_view path) {
  const auto extension = extension_of(path);
  if (extension.empty() || extension.size() > kLongestExtension) return nullptr;
  std::array<char, kLongestExtension> lower{};
  std::transform(extension.begin(), extension.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const Entry wanted{{lower.data(), extension.size()}, {}};
  const auto* found = std::lower_bound(kTable.begin(), kTable.end(), wanted, by_extension);
  return found != kTable.end() && found->extension == wanted.extension ? found : nullptr;
}

}  // namespace

std::string_view extension_of(std::string_view path) {
  const auto slash = path.rfind('/');
  const auto name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  const auto dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  return name.substr(dot + 1);
}

std::string_view content_type_of(std::string_view path) {
  const Entry* entry = find(path);
  return entry ? entry->type : std::string_view("application/octet-stream");
}

bool is_asset_name(std::string_view path) {
  const Entry* entry = find(path);
  return entry != nullptr && entry->use == Use::kAsset;
}

}  // namespace headgate::http
