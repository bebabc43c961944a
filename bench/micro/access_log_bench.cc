// SPDX-License-Identifier: Apache-2.0
// What one line of the access log costs the worker that writes it: formatting, and the whole with its hand-over.
#include <vector>

#include <benchmark/benchmark.h>

#include "observe/access_line.h"
#include "observe/access_log.h"

namespace {

using headgate::observe::AccessRecord;

AccessRecord usual() {
  AccessRecord r;
  r.request_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  r.client = "203.0.113.195";
  r.method = "GET";
  r.host = "shop.example.com";
  r.uri = "/api/products?category=shoes&page=2";
  r.protocol = "HTTP/1.1";
  r.status = 200;
  r.bytes_out = 1024;
  r.duration = std::chrono::microseconds(1834);
  r.site = "shop.example.com";
  r.route = "/api/*";
  r.upstream = "api";
  r.pool = "blue";
  r.server = "127.0.0.1:8001";
  r.upstream_time = std::chrono::microseconds(1711);
  r.attempts = 1;
  r.tls_version = "TLSv1.3";
  r.user_agent =
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";
  r.referer = "https://shop.example.com/shoes";
  return r;
}

void format_json(benchmark::State& state) {
  const AccessRecord record = usual();
  headgate::observe::LineTime time;
  std::vector<char> out(headgate::observe::line_bound(record));
  for (auto _ : state) {
    time.set(std::chrono::system_clock::now());
    benchmark::DoNotOptimize(headgate::observe::write_json_line(out.data(), record, time));
  }
}

void format_combined(benchmark::State& state) {
  const AccessRecord record = usual();
  headgate::observe::LineTime time;
  std::vector<char> out(headgate::observe::line_bound(record));
  for (auto _ : state) {
    time.set(std::chrono::system_clock::now());
    benchmark::DoNotOptimize(headgate::observe::write_combined_line(out.data(), record, time));
  }
}

/// CPU time of the worker's side only; the writing thread has its own.
void log_line(benchmark::State& state) {
  headgate::observe::AccessLog log({headgate::config::AccessLog::Format::kJson, "/dev/null"});
  headgate::observe::AccessLog::Writer writer(log);
  const AccessRecord record = usual();
  for (auto _ : state) writer.log(record, headgate::Clock::now());
}

BENCHMARK(format_json);
BENCHMARK(format_combined);
BENCHMARK(log_line);

}  // namespace
