// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/upstream_head.h"

#include <algorithm>

#include "http/path.h"
#include "proxy/generation.h"
#include "proxy/grpc.h"
#include "proxy/handlers/answers.h"
#include "proxy/handlers/stored_body.h"

namespace headgate::proxy {
namespace {

using http::FieldId;

bool is_hop_by_hop(FieldId id) {
  switch (id) {
    case FieldId::kConnection:
    case FieldId::kContentLength:
    case FieldId::kHttp2Settings:
    case FieldId::kKeepAlive:
    case FieldId::kProxyConnection:
    case FieldId::kTe:
    case FieldId::kTransferEncoding:
    case FieldId::kUpgrade:
      return true;
    default:
      return false;
  }
}

/// Fields that a client's head never passes on as they are: for this hop, settled anew, or a stranger's claim.
bool stays_here_by_id(FieldId id, bool peer_trusted) {
  switch (id) {
    case FieldId::kExpect:  // answered by us
    case FieldId::kHost:
    case FieldId::kProxyAuthorization:
    case FieldId::kXForwardedFor:
    case FieldId::kXRequestId:
      return true;
    case FieldId::kForwarded:
    case FieldId::kXForwardedHost:
    case FieldId::kXForwardedProto:
    case FieldId::kXRealIp:
      return !peer_trusted;
    default:
      return is_hop_by_hop(id);
  }
}

/// As above. CGI's successors (WSGI and others) cannot tell "X_Forwarded_For" from "X-Forwarded-For": what one may not
/// say, the other may not either.
bool stays_here(const http::Field& field, bool peer_trusted) {
  if (field.id != FieldId::kOther) return stays_here_by_id(field.id, peer_trusted);
  constexpr std::size_t kLongest = 32;  // longer than any name that has an id
  if (field.name.size() > kLongest || field.name.find('_') == std::string_view::npos) return false;
  char hyphens[kLongest];
  std::replace_copy(field.name.begin(), field.name.end(), hyphens, '_', '-');
  return stays_here_by_id(http::field_id({hyphens, field.name.size()}), peer_trusted);
}

/// Names that the Connection fields of a head list besides the well-known ones.
bool names_others(const http::Fields& fields) {
  if (!fields.has(FieldId::kConnection)) return false;
  for (const auto& field : fields) {
    if (field.id != FieldId::kConnection) continue;
    const auto value = http::trim(field.value);
    if (!http::iequals(value, "keep-alive") && !http::iequals(value, "close") && !http::iequals(value, "upgrade")) {
      return true;
    }
  }
  return false;
}

/// The target in origin form: as it was sent where that still says the same, else written anew from the path.
std::string_view upstream_target(Request& request) {
  const auto& head = request.exchange.request;
  const std::string_view prefix = request.route->strip_prefix;
  auto& arena = request.exchange.arena();
  if (request.path_as_sent) {
    if (prefix.empty()) return head.target;
    // Cutting the prefix off the encoded text keeps an encoded slash in the rest what it was.
    const auto stripped = strip_prefix(head.path, prefix);
    if (stripped.data() != head.path.data() || stripped.size() != head.path.size()) {
      return request.query.empty() ? stripped : arena.join({stripped, "?", request.query});
    }
  }
  std::string encoded;
  http::append_encoded_path(strip_prefix(request.path, prefix), encoded);
  return request.query.empty() ? arena.copy(encoded) : arena.join({encoded, "?", request.query});
}

/// Appended to only behind a trusted proxy; a stranger's list is replaced.
std::string_view forwarded_for(Request& request) {
  const auto& connection = request.exchange.connection();
  if (!request.peer_trusted) return connection.peer_text;
  auto& arena = request.exchange.arena();
  std::string_view list;
  for (const auto& field : request.exchange.request.fields) {
    if (field.id != FieldId::kXForwardedFor) continue;
    list = list.empty() ? field.value : arena.join({list, ", ", field.value});
  }
  return list.empty() ? std::string_view(connection.peer_text) : arena.join({list, ", ", connection.peer_text});
}

}  // namespace

void add_forwarded_fields(Request& request, http::Fields& fields) {
  const auto& head = request.exchange.request;
  const bool listed = names_others(head.fields);
  for (const auto& field : head.fields) {
    if (stays_here(field, request.peer_trusted)) continue;
    if (listed && head.fields.list_contains(FieldId::kConnection, field.name)) continue;
    fields.add(field.id, field.name, field.value);
  }
  fields.add(FieldId::kXForwardedFor, "X-Forwarded-For", forwarded_for(request));
  if (!fields.has(FieldId::kXForwardedProto)) {
    fields.add(FieldId::kXForwardedProto, "X-Forwarded-Proto", request.scheme());
  }
  if (!fields.has(FieldId::kXForwardedHost) && !head.authority.empty()) {
    fields.add(FieldId::kXForwardedHost, "X-Forwarded-Host", head.authority);
  }
  fields.add(FieldId::kXRequestId, "X-Request-Id", request.request_id);
}

void remove_alike(http::Fields& fields, std::string_view name) {
  const auto same = [](char a, char b) {
    const auto plain = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c == '_' ? '-' : c; };
    return plain(a) == plain(b);
  };
  auto& list = fields.list();
  list.erase(std::remove_if(list.begin(), list.end(),
                            [&](const http::Field& field) {
                              return std::equal(field.name.begin(), field.name.end(), name.begin(), name.end(), same);
                            }),
             list.end());
}

http::RequestHead upstream_request(Request& request) {
  const auto& head = request.exchange.request;
  http::RequestHead out;
  out.method = head.method;
  out.method_name = head.method_name;
  out.target = upstream_target(request);
  out.authority = head.authority;
  out.body = head.body;
  out.content_length = head.content_length;
  if (request.stored != nullptr) {
    out.body = http::BodyKind::kLength;
    out.content_length = request.stored->size();
  }
  out.takes_trailers = head.fields.list_contains(FieldId::kTe, "trailers");
  // h2c would turn the connection into a second front door, past every route's rules.
  if (!http::list_has(head.upgrade, "h2c")) out.upgrade = head.upgrade;
  auto& fields = out.fields;
  add_forwarded_fields(request, fields);
  if (request.grpc && request.deadline != kNoDeadline) {
    // What has passed here (an upload that was waited for, a connect, an attempt that failed) the server has no more.
    const Duration left = request.deadline - request.exchange.loop().now();
    fields.set("grpc-timeout", grpc_timeout(left, request.exchange.arena()));
  }

  const HeaderRules& rules = *request.route->request_headers;
  for (const auto& name : rules.remove) fields.remove(name);
  const auto apply = [&](const std::string& name, const routing::Template& text, bool replace) {
    const auto value = request.expand(text);
    if (http::iequals(name, "Host")) {
      out.authority = value;
    } else if (replace) {
      fields.set(name, value);
    } else {
      fields.add(name, value);
    }
  };
  for (const auto& [name, text] : rules.set) apply(name, text, true);
  for (const auto& [name, text] : rules.add) apply(name, text, false);
  // A client of HTTP/1.0 may have sent no Host, but HTTP/1.1 needs one.
  if (out.authority.empty()) out.authority = request.server.starts_with("unix:") ? "localhost" : request.server;
  return out;
}

void remove_hop_by_hop(http::Fields& fields, bool upgrading) {
  if (names_others(fields)) {
    const http::Fields copy = fields;
    for (const auto& field : copy) {
      if (field.id != FieldId::kConnection && copy.list_contains(FieldId::kConnection, field.name) &&
          !(upgrading && field.id == FieldId::kUpgrade)) {
        fields.remove(field.name);
      }
    }
  }
  auto& list = fields.list();
  list.erase(std::remove_if(list.begin(), list.end(),
                            [&](const http::Field& field) {
                              return is_hop_by_hop(field.id) && !(upgrading && field.id == FieldId::kUpgrade);
                            }),
             list.end());
}

}  // namespace headgate::proxy
