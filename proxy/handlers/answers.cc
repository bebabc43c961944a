// SPDX-License-Identifier: Apache-2.0
#include "proxy/handlers/answers.h"

#include "http/path.h"
#include "proxy/generation.h"

namespace headgate::proxy {
namespace {

/// The request's variables as they may stand in a URL.
class UrlVariables final : public routing::Variables {
 public:
  explicit UrlVariables(const Request& request) : request_(request) {}
  void append(const routing::Variable& variable, std::string& out) const override {
    using Kind = routing::Variable::Kind;
    if (variable.kind != Kind::kUri && variable.kind != Kind::kCapture) return request_.append(variable, out);
    std::string plain;
    request_.append(variable, plain);
    http::append_encoded_path(plain, out);
  }

 private:
  const Request& request_;
};

/// Escapes what may not stand in a URL at all (RFC 3986 section 2), wherever it came from.
std::string_view as_url(std::string_view text, Arena& arena) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string url;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f && c != '"' && c != '<' && c != '>' && c != '\\') {
      url += c;
    } else {
      url += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return arena.copy(url);
}

}  // namespace

Task<Result<>> respond_redirect(Request& request) {
  const FixedAnswer& answer = request.route->rules->answer;
  http::ResponseHead head;
  head.status = answer.status;
  const auto target = answer.text.expand(UrlVariables(request));
  head.fields.add(http::FieldId::kLocation, "Location", as_url(target, request.exchange.arena()));
  return request.respond(head, {});
}

Task<Result<>> respond_fixed(Request& request) {
  const FixedAnswer& answer = request.route->rules->answer;
  http::ResponseHead head;
  head.status = answer.status;
  const auto body = request.exchange.arena().copy(answer.text.expand(request));
  for (const auto& [name, value] : answer.headers.set) head.fields.set(name, request.expand(value));
  if (!body.empty() && !head.fields.has(http::FieldId::kContentType)) {
    head.fields.add(http::FieldId::kContentType, "Content-Type", "text/plain; charset=utf-8");
  }
  // An error that has nothing to say leaves that to the site.
  if (head.status >= 400 && body.empty()) return request.respond_refusal(head, body);
  return request.respond(head, body);
}

Task<Result<>> respond_options_asterisk(Request& request) {
  http::ResponseHead head;
  head.status = 204;
  return request.respond(head, {});
}

std::string_view strip_prefix(std::string_view path, std::string_view prefix) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  if (prefix.empty() || !path.starts_with(prefix)) return path;
  const auto rest = path.substr(prefix.size());
  if (rest.empty()) return "/";
  return rest.front() == '/' ? rest : path;
}

}  // namespace headgate::proxy
