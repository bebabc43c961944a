// SPDX-License-Identifier: Apache-2.0
// What normalising a path costs: the common case, and the worst that a client may send.
#include <string>

#include <benchmark/benchmark.h>

#include "http/path.h"

namespace {

void normalise(benchmark::State& state, const std::string& encoded) {
  std::string out;
  for (auto _ : state) {
    auto notes = headgate::http::normalise_path(encoded, out);
    benchmark::DoNotOptimize(notes);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * encoded.size()));
}

void encode(benchmark::State& state, const std::string& path) {
  std::string out;
  for (auto _ : state) {
    out.clear();
    headgate::http::append_encoded_path(path, out);
    benchmark::DoNotOptimize(out.data());
  }
}

std::string climbing() {
  std::string text = "/";
  for (int i = 0; i < 2000; ++i) text += "a/";
  for (int i = 0; i < 2000; ++i) text += "../";
  return text;
}

BENCHMARK_CAPTURE(normalise, short, std::string("/index.html"));
BENCHMARK_CAPTURE(normalise, asset, std::string("/assets/components/checkout-4f9d2c1b.js"));
BENCHMARK_CAPTURE(normalise, escaped, std::string("/files/annual%20report%202024.pdf"));
BENCHMARK_CAPTURE(normalise, dots, std::string("/a/./b/../c//d"));
BENCHMARK_CAPTURE(normalise, hostile_10k, climbing());
BENCHMARK_CAPTURE(encode, plain, std::string("/assets/components/checkout-4f9d2c1b.js"));
BENCHMARK_CAPTURE(encode, spaces, std::string("/files/annual report 2024.pdf"));

}  // namespace
