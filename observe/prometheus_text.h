// SPDX-License-Identifier: Apache-2.0
// Lines of Prometheus' text format, version 0.0.4. Label values may hold anything: what would end one is escaped.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "observe/metric_cells.h"

namespace headgate::observe {

struct Label {
  std::string_view name;
  std::string_view value;
};

/// Appends to a string of its caller's.
class PrometheusText {
 public:
  explicit PrometheusText(std::string& out) : out_(out) {}

  /// HELP and TYPE, before the samples of a name. `help` holds neither backslash nor newline.
  void family(std::string_view name, std::string_view type, std::string_view help);

  void sample(std::string_view name, std::initializer_list<Label> labels, std::uint64_t value);
  void sample(std::string_view name, std::initializer_list<Label> labels, std::int64_t value);
  void sample(std::string_view name, std::initializer_list<Label> labels, double value);

  /// The buckets (cumulative, with `le`), sum in seconds, and count of a histogram.
  void histogram(std::string_view name, std::initializer_list<Label> labels, const DurationHistogram::Sum& sum);

 private:
  void begin(std::string_view name, std::string_view suffix, std::span<const Label> labels, std::string_view bound);
  void label(const Label& label);
  template <class Number>
  void end(Number value);

  std::string& out_;
};

}  // namespace headgate::observe
