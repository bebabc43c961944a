// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace headgate::proxy {

/// `headgate demo`: a whole system in one process on loopback: two pools of origins, a single-page application, TLS with
/// a throw-away certificate. Prints where it is and what to try; its files are in a temporary folder that goes with it.
/// The exit code.
int demo_command();

}  // namespace headgate::proxy
