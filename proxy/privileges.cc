// SPDX-License-Identifier: Apache-2.0
#include "proxy/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "base/log.h"

namespace headgate::proxy {
namespace {

void keep_only_bind_service() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  data[0].permitted = data[0].effective = data[0].inheritable = 1u << CAP_NET_BIND_SERVICE;
  const bool kept = ::syscall(SYS_capset, &header, data) == 0;
  if (kept) ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0);  // for a successor
  if (!kept) {
    log::warn("cannot keep the right to bind ports below 1024: a reload can add none ({})",
              std::generic_category().message(errno));
  }
}

}  // namespace

void drop_privileges(const std::string& user) {
  if (::geteuid() != 0) return;
  if (user.empty()) {
    log::warn("running as root: set `user:` to give up its rights after binding");
    return;
  }
  errno = 0;
  const passwd* const entry = ::getpwnam(user.c_str());
  if (entry == nullptr) throw std::runtime_error("user: there is no user '" + user + "' on this system");
  const auto fail = [&](const char* what) {
    throw std::system_error(errno, std::generic_category(), "user " + user + ": " + what);
  };
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) fail("prctl");
  if (::initgroups(user.c_str(), entry->pw_gid) != 0) fail("initgroups");
  if (::setgid(entry->pw_gid) != 0) fail("setgid");
  if (::setuid(entry->pw_uid) != 0) fail("setuid");
  keep_only_bind_service();
}

bool give_to(const std::string& user, const std::string& path) {
  if (::geteuid() != 0 || user.empty()) return true;
  const passwd* const entry = ::getpwnam(user.c_str());
  return entry != nullptr && ::lchown(path.c_str(), entry->pw_uid, entry->pw_gid) == 0;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace headgate::proxy
