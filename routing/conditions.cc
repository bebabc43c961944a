// SPDX-License-Identifier: Apache-2.0
#include "routing/conditions.h"

#include <algorithm>
#include <span>

#include "routing/query.h"

namespace headgate::routing {
namespace {

using NameAndValue = std::pair<std::string, std::string>;

bool any_value(std::string_view expected) {
  return expected.empty() || expected == "*";
}

bool method_holds(const config::Conditions& conditions, std::string_view method) {
  return std::any_of(conditions.methods.begin(), conditions.methods.end(), [method](const std::string& allowed) {
    return method == allowed || (method == "HEAD" && allowed == "GET");
  });
}

bool header_holds(const NameAndValue& expected, const http::Fields* fields) {
  if (fields == nullptr) return false;
  for (const auto& field : *fields) {
    if (!http::iequals(field.name, expected.first)) continue;
    if (any_value(expected.second) || field.value == expected.second) return true;
  }
  return false;
}

bool client_holds(const config::Conditions& conditions, const IpAddress& client) {
  return std::any_of(conditions.client.begin(), conditions.client.end(),
                     [&client](const Cidr& network) { return network.contains(client); });
}

/// "a", "a or b", "a, b or c".
template <class Range, class Text>
std::string alternatives(const Range& range, const Text& text) {
  std::string out;
  std::size_t left = std::size(range);
  for (const auto& entry : range) {
    out += text(entry);
    --left;
    if (left > 0) out += left == 1 ? " or " : ", ";
  }
  return out;
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

/// "header X-A is absent, expected any value".
std::string mismatch(std::string what, std::optional<std::string_view> actual, std::string_view expected) {
  what += actual ? " is " + quoted(*actual) : " is absent";
  return what + ", expected " + (any_value(expected) ? std::string("any value") : quoted(expected));
}

std::optional<std::string_view> first_value(const http::Fields* fields, std::string_view name) {
  if (fields == nullptr) return std::nullopt;
  for (const auto& field : *fields) {
    if (http::iequals(field.name, name)) return field.value;
  }
  return std::nullopt;
}

}  // namespace

bool conditions_hold(const config::Conditions& conditions, const RequestView& request) {
  if (!conditions.methods.empty() && !method_holds(conditions, request.method)) return false;
  for (const auto& header : conditions.headers) {
    if (!header_holds(header, request.fields)) return false;
  }
  for (const auto& [name, value] : conditions.query) {
    if (!query_has(request.query, name, value)) return false;
  }
  return conditions.client.empty() || client_holds(conditions, request.client);
}

std::string failing_condition(const config::Conditions& conditions, const RequestView& request) {
  if (!conditions.methods.empty() && !method_holds(conditions, request.method)) {
    return "the method is " + std::string(request.method) + ", expected " +
           alternatives(conditions.methods, [](const std::string& method) { return method; });
  }
  for (const auto& header : conditions.headers) {
    if (header_holds(header, request.fields)) continue;
    return mismatch("header " + header.first, first_value(request.fields, header.first), header.second);
  }
  for (const auto& [name, value] : conditions.query) {
    if (query_has(request.query, name, value)) continue;
    return mismatch("query parameter " + name, find_query(request.query, name), value);
  }
  if (!conditions.client.empty() && !client_holds(conditions, request.client)) {
    return "the client " + request.client.to_string() + " is not in " +
           alternatives(conditions.client, [](const Cidr& network) { return network.to_string(); });
  }
  return {};
}

}  // namespace headgate::routing
