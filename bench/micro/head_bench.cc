// SPDX-License-Identifier: Apache-2.0
// What reading a head costs, a small one and a browser's, and what its fields cost to add and to find.
#include <string>

#include <benchmark/benchmark.h>

#include "http/http1_parser.h"

namespace {

using headgate::http::FieldId;
using headgate::http::Fields;
using headgate::http::Http1Parser;

const std::string kSmall = "GET /api/products/42 HTTP/1.1\r\nHost: shop.example.com\r\n\r\n";

const std::string kBrowser =
    "GET /assets/components/checkout-4f9d2c1b.js HTTP/1.1\r\n"
    "Host: shop.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "
    "Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://shop.example.com/shoes?page=2\r\n"
    "Cookie: session=0123456789abcdef0123456789abcdef; consent=all; theme=dark\r\n"
    "Sec-Ch-Ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\n"
    "Sec-Ch-Ua-Mobile: ?0\r\n"
    "Sec-Ch-Ua-Platform: \"Linux\"\r\n"
    "Sec-Fetch-Dest: script\r\n"
    "Sec-Fetch-Mode: no-cors\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Cache-Control: max-age=0\r\n"
    "Connection: keep-alive\r\n\r\n";

const std::string kAnswer =
    "HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: application/json\r\n"
    "Content-Length: 1024\r\nVary: Accept\r\nX-Frame-Options: DENY\r\n\r\n";

void request(benchmark::State& state, const std::string& text) {
  Http1Parser parser(Http1Parser::Kind::kRequest, {});
  for (auto _ : state) {
    parser.reset();
    headgate::http::RequestHead head;
    if (parser.parse_head(text.data(), text.size()) != Http1Parser::Outcome::kComplete ||
        parser.take_request(text.data(), head) != Http1Parser::Outcome::kComplete) {
      state.SkipWithError("refused");
      break;
    }
    benchmark::DoNotOptimize(head.fields.size());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * text.size()));
}

void response(benchmark::State& state) {
  Http1Parser parser(Http1Parser::Kind::kResponse, {});
  for (auto _ : state) {
    parser.reset();
    headgate::http::ResponseHead head;
    if (parser.parse_head(kAnswer.data(), kAnswer.size()) != Http1Parser::Outcome::kComplete ||
        parser.take_response(kAnswer.data(), headgate::http::Method::kGet, head) != Http1Parser::Outcome::kComplete) {
      state.SkipWithError("refused");
      break;
    }
    benchmark::DoNotOptimize(head.fields.size());
  }
}

/// Names as a browser sends them, each once.
Fields browsers_fields() {
  static constexpr std::string_view kNames[] = {"Host",
                                                "User-Agent",
                                                "Accept",
                                                "Accept-Language",
                                                "Accept-Encoding",
                                                "Referer",
                                                "Cookie",
                                                "DNT",
                                                "Sec-Ch-Ua",
                                                "Sec-Ch-Ua-Mobile",
                                                "Sec-Ch-Ua-Platform",
                                                "Sec-Fetch-Dest",
                                                "Sec-Fetch-Mode",
                                                "Sec-Fetch-Site",
                                                "Cache-Control",
                                                "X-Requested-With"};
  Fields fields;
  for (const auto name : kNames) fields.add(name, "value");
  return fields;
}

/// Sixteen fields by name: each name is looked up among those that the program knows.
void add_16(benchmark::State& state) {
  const Fields model = browsers_fields();
  Fields fields;
  for (auto _ : state) {
    fields.clear();
    for (const auto& one : model) fields.add(one.name, one.value);
    benchmark::DoNotOptimize(fields.size());
  }
}

void find_known(benchmark::State& state, FieldId id) {
  const Fields fields = browsers_fields();
  for (auto _ : state) {
    auto found = fields.get(id);
    benchmark::DoNotOptimize(found);
  }
}

void find_by_name(benchmark::State& state, const std::string& name) {
  const Fields fields = browsers_fields();
  for (auto _ : state) {
    auto found = fields.get(name);
    benchmark::DoNotOptimize(found);
  }
}

void set_and_remove(benchmark::State& state) {
  const Fields model = browsers_fields();
  for (auto _ : state) {
    Fields fields = model;
    fields.set("X-Forwarded-For", "203.0.113.195");
    fields.remove(FieldId::kConnection);
    benchmark::DoNotOptimize(fields.size());
  }
}

BENCHMARK_CAPTURE(request, small, kSmall);
BENCHMARK_CAPTURE(request, browser, kBrowser);
BENCHMARK(response);
BENCHMARK(add_16);
BENCHMARK_CAPTURE(find_known, first, FieldId::kHost);
BENCHMARK_CAPTURE(find_known, last, FieldId::kCacheControl);
BENCHMARK_CAPTURE(find_known, absent, FieldId::kExpect);
BENCHMARK_CAPTURE(find_by_name, last, std::string("x-requested-with"));
BENCHMARK_CAPTURE(find_by_name, absent, std::string("x-api-key"));
BENCHMARK(set_and_remove);

}  // namespace
