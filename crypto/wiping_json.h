// SPDX-License-Identifier: MIT
// jansson while it has secrets in hand: whatever it allocates is wiped when it is freed. What was allocated in between
// has to be freed in between, too. The functions that jansson calls are those of the process: no other thread may use
// it meanwhile.
#ifndef HVFS_CRYPTO_WIPING_JSON_H
#define HVFS_CRYPTO_WIPING_JSON_H

#include <jansson.h>

struct wiping_json {
	json_malloc_t malloc;
	json_free_t free;
};

// From here on, and until the end that is told what the beginning has noted. They do not nest.
void wiping_json_begin(struct wiping_json *before);
void wiping_json_end(const struct wiping_json *before);

#endif
