// SPDX-License-Identifier: Apache-2.0
#include "proxy/admin/answer.h"

#include <nlohmann/json.hpp>

namespace headgate::proxy {
namespace {

Task<> respond(http::Exchange& exchange, int status, std::string body, const char* allowed) {
  http::ResponseHead head;
  head.status = status;
  const bool is_json = body.starts_with('{');
  head.fields.add(http::FieldId::kContentType, "Content-Type",
                  is_json ? "application/json" : "text/plain; charset=utf-8");
  head.fields.add(http::FieldId::kCacheControl, "Cache-Control", "no-store");
  if (allowed != nullptr) head.fields.add("Allow", allowed);
  body += '\n';
  head.content_length = body.size();
  co_await exchange.respond(head, body);
}

}  // namespace

std::string to_text(const nlohmann::json& document) {
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string error_json(std::string_view code, std::string_view message) {
  return to_text({{"error", {{"code", code}, {"message", message}}}});
}

Task<> respond(http::Exchange& exchange, int status, std::string body) {
  return respond(exchange, status, std::move(body), nullptr);
}

Task<std::optional<std::string>> read_text(http::Exchange& exchange) {
  constexpr std::size_t kMostBody = 64 * 1024;
  std::string text;
  while (exchange.has_body() && !exchange.body_finished()) {
    const auto piece = co_await exchange.read_body();
    if (!piece || text.size() + piece->size() > kMostBody) co_return std::nullopt;
    text.append(piece->data(), piece->size());
  }
  co_return std::move(text);
}

Task<> refuse_method(http::Exchange& exchange, const char* allowed) {
  return respond(exchange, 405, error_json("method_not_allowed", std::string("this resource takes ") + allowed),
                 allowed);
}

}  // namespace headgate::proxy
