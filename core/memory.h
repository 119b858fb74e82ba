// SPDX-License-Identifier: MIT
// Zeroed memory for large tables, in huge pages where the system has them: a table that is looked up at random costs an
// address translation each time, in a virtual machine two.
#ifndef HVFS_CORE_MEMORY_H
#define HVFS_CORE_MEMORY_H

#include "core/types.h"

enum { MEMORY_HUGE_SIZE = 2 << 20 };

// ${size} zeroed bytes, to be given back with free(); aligned to MEMORY_HUGE_SIZE when that large. Stops the process
// when there is no memory.
void *memory_table(size_t size);

// A wish that the aligned range be backed by huge pages; nothing depends on it.
void memory_wish_huge(void *start, size_t size);

#endif
