// SPDX-License-Identifier: Apache-2.0
// Input: a template as it stands in a configuration.
#include <string>

#include "routing/template.h"
#include "tests/fuzz/invariant.h"

using headgate::fuzz::demand;
using headgate::routing::Template;
using headgate::routing::Variable;

namespace {

class Counted final : public headgate::routing::Variables {
 public:
  void append(const Variable& variable, std::string& out) const override {
    const bool named = variable.kind == Variable::Kind::kArg || variable.kind == Variable::Kind::kHttp ||
                       variable.kind == Variable::Kind::kCookie;
    demand(variable.name.empty() != named, "exactly the variables of a family carry a name");
    demand((variable.kind == Variable::Kind::kCapture) == (variable.index != 0), "exactly a capture carries a number");
    demand(variable.index <= 9, "captures end at nine");
    out += variable.name;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = Template::parse(text);
  demand(headgate::routing::check_template(text).has_value() == parsed.has_error(), "the check agrees with the parser");
  if (!parsed) {
    demand(parsed.error().offset < size, "an error stands in the text");
    demand(text[parsed.error().offset] == '$', "an error stands at a dollar sign");
    demand(!parsed.error().message.empty(), "an error has words");
    return 0;
  }
  demand(parsed->source() == text, "a template knows its source");
  const auto expanded = parsed->expand(Counted());
  demand(expanded.size() <= size, "names and text are no longer than the template");
  if (text.find('$') == std::string_view::npos) {
    demand(parsed->is_constant() && expanded == text, "text without a dollar sign is constant");
  }
  return 0;
}
