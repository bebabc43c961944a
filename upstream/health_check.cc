// SPDX-License-Identifier: Apache-2.0
#include "upstream/health_check.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/socket.h"
#include "http/http1_client.h"

namespace headgate::upstream {
namespace {

/// How far into an answer `expect_body` is looked for.
constexpr std::size_t kMostBody = 64 * 1024;

std::string text_of(const std::vector<std::pair<int, int>>& ranges) {
  std::string text;
  for (const auto& [low, high] : ranges) {
    if (!text.empty()) text += ", ";
    text += std::to_string(low);
    if (high != low) text += "-" + std::to_string(high);
  }
  return text;
}

bool is_expected(int status, const std::vector<std::pair<int, int>>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return status >= range.first && status <= range.second; });
}

CheckResult failed(const Error& error) {
  return {false, error.reason};
}

http::RequestHead request_of(const config::Health& rules, const std::string& host) {
  http::RequestHead head;
  head.method = http::Method::kGet;
  head.method_name = "GET";
  head.target = rules.path;
  head.authority = rules.host.empty() ? std::string_view(host) : std::string_view(rules.host);
  head.fields.add("User-Agent", "headgate-health-check");
  head.fields.add("Accept", "*/*");
  return head;
}

/// The head that counts, after interim ones.
Task<Result<http::ResponseHead*>> final_head(http::ClientExchange& exchange, TimePoint deadline) {
  for (;;) {
    const auto head = co_await exchange.read_head(deadline);
    if (!head || (*head)->status >= 200) co_return head;
  }
}

/// The body's beginning, looked for `text`. It is read even when nobody looks: an origin whose answer is cut off
/// would complain of it at every check.
Task<Result<bool>> body_contains(http::ClientExchange& exchange, const std::string& text, TimePoint deadline) {
  std::string body;
  while (!exchange.body_finished() && body.size() < kMostBody) {
    const auto piece = co_await exchange.read_body(deadline);
    if (!piece) co_return piece.error();
    body.append(piece->data(), piece->size());
  }
  co_return body.find(text) != std::string::npos;
}

Task<CheckResult> ask(Loop& loop, Lease& lease, const config::Health& rules, const std::string& host,
                      TimePoint deadline) {
  std::optional<http::Http1ClientExchange> own;
  auto& exchange = lease.exchange(loop, own, rules.timeout);
  exchange.start(request_of(rules, host));
  co_await exchange.finish(nullptr);  // a failure shows itself to the reader, too
  const auto head = co_await final_head(exchange, deadline);
  if (!head) co_return failed(head.error());
  const int status = (*head)->status;
  if (!is_expected(status, rules.expect_status)) {
    co_return CheckResult{false, "status " + std::to_string(status) + ", expected " + text_of(rules.expect_status)};
  }
  const auto found = co_await body_contains(exchange, rules.expect_body, deadline);
  if (!found) co_return failed(found.error());
  if (!*found) co_return CheckResult{false, "the body does not contain '" + rules.expect_body + "'"};
  co_return CheckResult{true, "status " + std::to_string(status)};
}

}  // namespace

Task<CheckResult> check_health(Loop& loop, Server& server, const config::Health& rules, const std::string& host) {
  const TimePoint deadline = Clock::now() + rules.timeout;
  if (rules.path.empty()) {
    const auto connected = co_await connect(loop, server.address(), deadline);
    if (!connected) co_return failed(connected.error());
    co_return CheckResult{true, "connected"};
  }
  auto lease = co_await server.lease(deadline, Server::Age::kNew);
  if (!lease) co_return failed(lease.error());
  co_return co_await ask(loop, *lease, rules, host, deadline);
}

}  // namespace headgate::upstream
