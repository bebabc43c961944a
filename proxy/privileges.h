// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace headgate::proxy {

/// Becomes `user` with its groups, keeping only the right to bind low ports, for listeners that a reload or an upgrade
/// adds. Does nothing when the process is not root. With no user, root stays root, with a warning. Must run before
/// threads start. Throws std::runtime_error: the user does not exist, the system refuses.
void drop_privileges(const std::string& user);

/// Gives a file that root has just made to `user`, who is to use it after drop_privileges(). Does nothing when the
/// process is not root or there is no user. False: the system refuses.
bool give_to(const std::string& user, const std::string& path);

/// As many descriptors as the system allows.
void raise_descriptor_limit();

}  // namespace headgate::proxy
