// SPDX-License-Identifier: MIT
// Built in place of multi_buffer.c where the library is not there.
#include "crypto/multi_buffer.h"

size_t
multi_buffer_sha256(const struct sha256_task *tasks, size_t count)
{
	(void)tasks;
	(void)count;
	return 0;
}

struct gcm *
multi_buffer_gcm_create(void)
{
	return NULL;
}

void
multi_buffer_disable(void)
{
}
