// SPDX-License-Identifier: Apache-2.0
#include "proxy/service_manager.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <system_error>

#include <sys/socket.h>
#include <sys/un.h>

#include "base/log.h"
#include "base/unique_fd.h"

namespace headgate::proxy {

void tell_service_manager(const std::string& lines) {
  const char* const variable = std::getenv("NOTIFY_SOCKET");
  if (variable == nullptr || *variable == '\0') return;
  const std::string_view path(variable);
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) {
    log::warn("NOTIFY_SOCKET is too long for a socket's path: the service manager is told nothing");
    return;
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';  // not in the file system
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  if (::sendto(socket.get(), lines.data(), lines.size(), MSG_DONTWAIT | MSG_NOSIGNAL, to, length) < 0) {
    log::warn("NOTIFY_SOCKET {}: {}", path, std::generic_category().message(errno));
  }
}

}  // namespace headgate::proxy
