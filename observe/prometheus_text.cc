// SPDX-License-Identifier: Apache-2.0
#include "observe/prometheus_text.h"

#include <charconv>

namespace headgate::observe {

void PrometheusText::family(std::string_view name, std::string_view type, std::string_view help) {
  out_.append("# HELP ").append(name).append(" ").append(help);
  out_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void PrometheusText::label(const Label& label) {
  out_.append(label.name).append("=\"");
  for (std::string_view rest = label.value;;) {
    const auto at = rest.find_first_of("\\\"\n");
    out_.append(rest.substr(0, at));
    if (at == std::string_view::npos) break;
    out_.push_back('\\');
    out_.push_back(rest[at] == '\n' ? 'n' : rest[at]);
    rest.remove_prefix(at + 1);
  }
  out_.push_back('"');
}

void PrometheusText::begin(std::string_view name, std::string_view suffix, std::span<const Label> labels,
                           std::string_view bound) {
  out_.append(name).append(suffix);
  char before = '{';
  const auto add = [&](const Label& one) {
    out_.push_back(before);
    before = ',';
    label(one);
  };
  for (const auto& one : labels) add(one);
  if (!bound.empty()) add({"le", bound});
  if (before == ',') out_.push_back('}');
}

template <class Number>
void PrometheusText::end(Number value) {
  char digits[32];
  const auto written = std::to_chars(digits, digits + sizeof digits, value);
  out_.push_back(' ');
  out_.append(digits, written.ptr);
  out_.push_back('\n');
}

void PrometheusText::sample(std::string_view name, std::initializer_list<Label> labels, std::uint64_t value) {
  begin(name, {}, labels, {});
  end(value);
}

void PrometheusText::sample(std::string_view name, std::initializer_list<Label> labels, std::int64_t value) {
  begin(name, {}, labels, {});
  end(value);
}

void PrometheusText::sample(std::string_view name, std::initializer_list<Label> labels, double value) {
  begin(name, {}, labels, {});
  end(value);
}

void PrometheusText::histogram(std::string_view name, std::initializer_list<Label> labels,
                               const DurationHistogram::Sum& sum) {
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < sum.buckets.size(); ++i) {
    so_far += sum.buckets[i];
    begin(name, "_bucket", labels, DurationBuckets::kNames[i]);
    end(so_far);
  }
  begin(name, "_sum", labels, {});
  end(static_cast<double>(sum.microseconds) / 1e6);
  begin(name, "_count", labels, {});
  end(so_far);
}

}  // namespace headgate::observe
