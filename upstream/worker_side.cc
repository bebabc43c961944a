// SPDX-License-Identifier: Apache-2.0
#include "upstream/worker_side.h"

namespace headgate::upstream {

Task<Wake> Changes::next(TimePoint deadline) {
  Waiter waiter(loop_);
  waiters_.push_back(waiter);
  const Wake wake = co_await waiter.woken.wait(deadline);
  waiters_.erase(waiters_.iterator_to(waiter));
  co_return wake;
}

}  // namespace headgate::upstream
