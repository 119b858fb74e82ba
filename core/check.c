// SPDX-License-Identifier: MIT
#include "core/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
check_failed(const char *file, int line, const char *what)
{
	fprintf(stderr, "hvfs: %s:%d: broken invariant: %s\n", file, line, what);
	abort();
}
