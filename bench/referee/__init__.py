# SPDX-License-Identifier: Apache-2.0
"""The referee: what bench/run is made of.

program     a server that runs, what it has used, how it ends
subjects    headgate, its peers and the relays: how each is set up for a case
load        the load generators
measure     how each kind of case is measured, in rounds that take turns
cases       the cases
targets     what headgate is to reach in them
report      tables for the terminal and for README.md
chart       the picture
syscalls    system calls per request
command     bench/run's options
"""
