// SPDX-License-Identifier: MIT
// What a node does not need any more once it serves, it can not do any more either, whoever gets hold of it.
#ifndef HVFS_CLI_SANDBOX_H
#define HVFS_CLI_SANDBOX_H

#include <stddef.h>

// No new privileges for any thread, now and later; and from now on EPERM for the system calls that a node that runs has no use
// for: running programs, mounts, namespaces, other processes' memory, kernel modules, the clock, new io_urings, … Returns
// 0, or -1 and a sentence: nothing has changed then.
int sandbox_enter(char *error, size_t error_size);

#endif
