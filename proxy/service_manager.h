// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace headgate::proxy {

/// Tells who has started the process how it is: READY=1, STOPPING=1, MAINPID=N, as lines. The protocol of systemd's
/// sd_notify(3): one datagram to $NOTIFY_SOCKET. Does nothing without that variable; never waits, never fails.
void tell_service_manager(const std::string& lines);

}  // namespace headgate::proxy
