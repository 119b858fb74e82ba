// SPDX-License-Identifier: MIT
// CHECK(condition): a broken invariant stops the process, in release builds too: better no disk than a wrong one.
#ifndef HVFS_CORE_CHECK_H
#define HVFS_CORE_CHECK_H

// Say what is broken and where, and stop. Called by CHECK.
_Noreturn void check_failed(const char *file, int line, const char *what);

#define CHECK(condition) ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))

#endif
