// SPDX-License-Identifier: Apache-2.0
// What the system says about this process, for metrics. Any thread; a few system calls.
#pragma once

#include <cstdint>

namespace headgate::proxy {

double process_cpu_seconds();             ///< user and system time of all threads
std::int64_t process_resident_bytes();    ///< -1: the system does not tell
std::int64_t process_open_descriptors();  ///< likewise
std::int64_t process_descriptor_limit();  ///< likewise; -1 for no limit, too

}  // namespace headgate::proxy
