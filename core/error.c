// SPDX-License-Identifier: MIT
#include "core/error.h"

static const char *const texts[ERR_COUNT] = {
#define X(name, text) [ERR_##name] = text,
	HVFS_ERRORS(X)
#undef X
};

const char *
hvfs_error_text(enum hvfs_error error)
{
	return (unsigned)error < ERR_COUNT ? texts[error] : "unknown error";
}
