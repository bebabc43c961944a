// SPDX-License-Identifier: Apache-2.0
// What filling in a template costs, and reading one at start-up.
#include <string>

#include <benchmark/benchmark.h>

#include "routing/template.h"

namespace {

using headgate::routing::Template;
using headgate::routing::Variable;

class Values final : public headgate::routing::Variables {
 public:
  void append(const Variable& variable, std::string& out) const override {
    out += variable.kind == Variable::Kind::kHost ? "shop.example.com" : "/products/42";
  }
};

void expand(benchmark::State& state, const std::string& text) {
  const auto parsed = Template::parse(text).value();
  const Values values;
  std::string out;
  for (auto _ : state) {
    out.clear();
    parsed.expand(values, out);
    benchmark::DoNotOptimize(out.data());
  }
}

void parse(benchmark::State& state, const std::string& text) {
  for (auto _ : state) {
    auto parsed = Template::parse(text);
    benchmark::DoNotOptimize(parsed);
  }
}

BENCHMARK_CAPTURE(expand, constant, std::string("/index.html"));
BENCHMARK_CAPTURE(expand, redirect, std::string("https://$host/new$uri"));
BENCHMARK_CAPTURE(expand, key, std::string("$host:$remote_addr"));
BENCHMARK_CAPTURE(parse, redirect, std::string("https://$host/new$uri"));

}  // namespace
