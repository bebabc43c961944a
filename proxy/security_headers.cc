// SPDX-License-Identifier: Apache-2.0
#include "proxy/security_headers.h"

namespace headgate::proxy {

void add_strict_headers(bool secure, http::Fields& answer) {
  std::array<bool, kStrictHeaders.size()> there{};
  for (const auto& field : answer) {
    if (field.id != http::FieldId::kOther) continue;
    for (std::size_t i = 0; i < kStrictHeaders.size(); ++i) {
      const auto name = kStrictHeaders[i].name;
      if (field.name.size() == name.size() && http::iequals(field.name, name)) there[i] = true;
    }
  }
  for (std::size_t i = 0; i < kStrictHeaders.size(); ++i) {
    const auto& [name, value, over_tls] = kStrictHeaders[i];
    if (!there[i] && (secure || !over_tls)) answer.add(http::FieldId::kOther, name, value);
  }
}

}  // namespace headgate::proxy
