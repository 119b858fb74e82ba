// SPDX-License-Identifier: MIT
// One root for each store: a lock on the storage that ends with its last descriptor, whatever happens to the process.
#ifndef HVFS_STORE_LOCK_H
#define HVFS_STORE_LOCK_H

#include <stdbool.h>
#include <sys/types.h>

// Lock all of ${fd}, against everyone or (shared) against writers only. Belongs to the open file, not to the process: a
// second open of the same process is refused too, and a forked child keeps it. Returns 0, EAGAIN when somebody has it,
// or another errno value.
int lock_take(int fd, bool shared);

// The same, but wait for it for up to ${ms}: somebody has died whose last reads and writes the system has not ended yet.
int lock_take_within(int fd, bool shared, unsigned ms);

// Does anybody else hold a lock of all of ${fd}? Also when it can not be told.
bool lock_is_shared(int fd);

// A process that holds a lock on the file of ${fd}, as far as this process may see; 0 when none is found.
pid_t lock_find_holder(int fd);

#endif
