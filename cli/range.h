// SPDX-License-Identifier: MIT
// A range of bytes as users write it: FROM-TO, or FROM- for all that follows.
#ifndef HVFS_CLI_RANGE_H
#define HVFS_CLI_RANGE_H

#include <stddef.h>
#include <stdint.h>

#define RANGE_TO_END UINT64_MAX

// ${text}, "0-1G" or "512M-", into bytes [*ret_begin, *ret_end); RANGE_TO_END: what follows is not bounded. Returns 0, or
// -1 and what would be right in ${error}.
int range_parse(const char *text, uint64_t *ret_begin, uint64_t *ret_end, char *error, size_t error_size);

#endif
