// SPDX-License-Identifier: Apache-2.0
// Cross-origin resource sharing (the Fetch standard, section 3.2): which pages of other origins may read answers. It
// protects browsers' users, not the server: whoever is no browser gets every answer all the same.
//
// Compiled with a generation, immutable, any thread. docs/headers.md says what is decided here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"
#include "config/model.h"
#include "http/fields.h"

namespace headgate::proxy {

/// Origins as browsers serialise them (RFC 6454 section 6.2), compared byte by byte.
class OriginList {
 public:
  OriginList() = default;
  /// Of config::parse_origin.
  explicit OriginList(const std::vector<std::string>& origins);

  bool everyone() const { return everyone_; }
  bool allows(std::string_view origin) const;

 private:
  /// "https://*.example.com:8443" without its star.
  struct Wildcard {
    std::string before;
    std::string after;
  };
  std::vector<std::string> exact_;  // sorted
  std::vector<Wildcard> wildcards_;
  bool everyone_ = false;
};

/// What it adds to answers are views into itself, into the request's fields and the arena.
class CorsPolicy {
 public:
  CorsPolicy() = default;
  explicit CorsPolicy(const config::Cors& settings);

  /// The request's origin may read the answer.
  bool allows(const http::Fields& asked) const;

  /// Adds what a browser looks for to the fields of an answer, unless its application has decided for itself: then its
  /// Access-Control-Allow-Origin stays, once. `Vary: Origin` wherever another origin would get another answer.
  void apply(const http::Fields& asked, http::Fields& answer, Arena& arena) const;

  /// The fields of the answer to a preflight. A method or a header that is not allowed is for the browser to find
  /// missing, since it tells its developer which; an origin that is not gets nothing.
  void answer_preflight(const http::Fields& asked, http::Fields& answer, Arena& arena) const;

 private:
  void allow_origin(const http::Fields& asked, http::Fields& answer) const;

  OriginList origins_;
  std::string methods_;         // as the field has them; unless any_method_
  std::string headers_;         // likewise
  std::string expose_headers_;  // likewise
  std::string max_age_;         // seconds; empty: not told
  bool any_method_ = false;
  bool any_header_ = false;
  bool credentials_ = false;
};

/// The method of the request that a preflight announces; nothing: it is none.
std::optional<std::string_view> announced_method(std::string_view method, const http::Fields& fields);

/// The rules for a route of the site, or for a request without a route (null); null: none.
const config::Cors* cors_of(const config::Site& site, const config::Route* route);

/// Adds a name to the answer's Vary, in the one field that there is.
void add_to_vary(http::Fields& fields, std::string_view name, Arena& arena);

}  // namespace headgate::proxy
