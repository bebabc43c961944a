// SPDX-License-Identifier: Apache-2.0
#include "base/deadlines.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace headgate {

void Deadline::unlink() {
  if (link_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  link_ = nullptr;
  next_ = nullptr;
}

DeadlineWheel::~DeadlineWheel() {
  for (auto*& slot : slots_) {
    while (slot != nullptr) slot->unlink();
  }
}

std::uint64_t DeadlineWheel::tick_after(TimePoint time) const {
  if (time <= start_) return 0;
  return static_cast<std::uint64_t>((time - start_ + kTick - Duration(1)) / kTick);
}

void DeadlineWheel::arm(Deadline& deadline, TimePoint time) {
  deadline.time_ = time;
  if (time == kNoDeadline) return;
  const std::uint64_t tick = std::max(tick_after(time), current_ + 1);
  if (deadline.link_ != nullptr && deadline.slot_tick_ <= tick) return;  // the wheel passes there first, and looks
  deadline.unlink();
  insert(deadline, std::min(tick, current_ + kSlots - 1));
}

void DeadlineWheel::insert(Deadline& deadline, std::uint64_t tick) {
  const std::size_t index = tick % kSlots;
  deadline.slot_tick_ = tick;
  deadline.link_ = &slots_[index];
  deadline.next_ = slots_[index];
  if (deadline.next_ != nullptr) deadline.next_->link_ = &deadline.next_;
  slots_[index] = &deadline;
  occupied_[index / 64] |= std::uint64_t{1} << (index % 64);
}

void DeadlineWheel::advance(TimePoint now) {
  if (now <= start_) return;
  const auto target = static_cast<std::uint64_t>((now - start_) / kTick);
  // After a long sleep one look at each slot is enough.
  if (target > current_ + kSlots) current_ = target - kSlots;
  while (current_ < target) {
    ++current_;
    const std::size_t index = current_ % kSlots;
    std::uint64_t& word = occupied_[index / 64];
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    if ((word & bit) == 0) continue;
    word &= ~bit;
    // Detach the slot first: what fires may arm again, into this very slot one turn later.
    Deadline* due = std::exchange(slots_[index], nullptr);
    if (due != nullptr) due->link_ = &due;
    while (due != nullptr) {
      Deadline& deadline = *due;
      deadline.unlink();
      if (deadline.time_ == kNoDeadline) continue;
      if (deadline.time_ <= now) {
        deadline.time_ = kNoDeadline;
        deadline.expired();
      } else {
        arm(deadline, deadline.time_);
      }
    }
  }
}

TimePoint DeadlineWheel::next() const {
  // The slots after current_, in the order in which they come up.
  const std::size_t first = (current_ + 1) % kSlots;
  for (std::size_t i = 0; i <= occupied_.size(); ++i) {
    const std::size_t word_index = (first / 64 + i) % occupied_.size();
    std::uint64_t word = occupied_[word_index];
    if (i == 0) word &= ~std::uint64_t{0} << (first % 64);
    if (i == occupied_.size()) word &= (std::uint64_t{1} << (first % 64)) - 1;
    if (word == 0) continue;
    const std::size_t index = word_index * 64 + static_cast<std::size_t>(std::countr_zero(word));
    const std::uint64_t ahead = (index + kSlots - first) % kSlots;
    return start_ + static_cast<Duration::rep>(current_ + 1 + ahead) * kTick;
  }
  return kNoDeadline;
}

}  // namespace headgate
