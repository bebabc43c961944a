// SPDX-License-Identifier: Apache-2.0
// What has been encoded of one content that stays the same, a file usually, kept beside it for those who ask next.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "http/negotiate.h"

namespace headgate::compress {

/// One thread's. Costs a pointer until the content is first encoded.
class KeptForms {
 public:
  /// Null: there is none of this coding. Lives as long as this. Whatever level it was made with: it says the same.
  const std::string* find(http::Coding coding) const {
    if (!slots_) return nullptr;
    const Slot& slot = (*slots_)[static_cast<std::size_t>(coding)];
    return slot.form.empty() ? nullptr : &slot.form;
  }

  /// Somebody is about to encode it. True: this is not the first time, so the result is worth keeping.
  bool asked(http::Coding coding) {
    if (!slots_) slots_ = std::make_unique<Slots>();
    bool& again = (*slots_)[static_cast<std::size_t>(coding)].asked;
    const bool worth_it = again;
    again = true;
    return worth_it;
  }

  /// The first one stays: answers under way use it.
  void keep(http::Coding coding, std::string form) {
    if (!slots_) slots_ = std::make_unique<Slots>();
    Slot& slot = (*slots_)[static_cast<std::size_t>(coding)];
    if (!slot.form.empty()) return;
    form.shrink_to_fit();
    slot.form = std::move(form);
  }

  std::size_t memory() const {
    if (!slots_) return 0;
    std::size_t bytes = sizeof(Slots);
    for (const Slot& slot : *slots_) bytes += slot.form.capacity();
    return bytes;
  }

 private:
  struct Slot {
    std::string form;  // empty: none; no coding makes nothing of something
    bool asked = false;
  };
  using Slots = std::array<Slot, http::kCodingCount>;
  std::unique_ptr<Slots> slots_;
};

}  // namespace headgate::compress
