// SPDX-License-Identifier: Apache-2.0
// The system calls of the data path, straight to the kernel. In glibc they are points at which pthread_cancel may end a
// thread, and a process with threads pays two locked instructions for each call to keep that possible; here nobody
// cancels threads. As the functions of the same names in every other respect: -1 and errno.
#pragma once

#include <cstddef>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace headgate::system_calls {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

// The sanitizers check what the kernel reads and writes in the functions of the library.
using ::epoll_wait;
using ::recv;
using ::send;
using ::sendmsg;

#else

inline ssize_t recv(int fd, void* data, std::size_t size, int flags) {
  return ::syscall(SYS_recvfrom, fd, data, size, flags, nullptr, nullptr);
}

inline ssize_t send(int fd, const void* data, std::size_t size, int flags) {
  return ::syscall(SYS_sendto, fd, data, size, flags, nullptr, 0);
}

inline ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  return ::syscall(SYS_sendmsg, fd, message, flags);
}

inline int epoll_wait(int epoll, epoll_event* events, int most, int timeout) {
  constexpr std::size_t kSignalSet = 8;  // of the kernel, in bytes; no mask is given
  return static_cast<int>(::syscall(SYS_epoll_pwait, epoll, events, most, timeout, nullptr, kSignalSet));
}

#endif

}  // namespace headgate::system_calls
