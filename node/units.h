// SPDX-License-Identifier: MIT
// Sizes and durations as users write them.
#ifndef HVFS_NODE_UNITS_H
#define HVFS_NODE_UNITS_H

#include <stddef.h>
#include <stdint.h>

enum { UNITS_TEXT_SIZE = 24 };

// "4096", "64K", "16M", "1G", "2T" (powers of 1024, also in small letters): bytes in *ret_size. Returns 0, or -1 and what
// would be right in ${error}, without the text itself.
int units_parse_size(const char *text, uint64_t *ret_size, char *error, size_t error_size);

// "500ms", "30s", "20m", "1h": milliseconds in *ret_ms, 1 to UINT32_MAX ("0" with any unit is refused). Returns as above.
int units_parse_duration(const char *text, uint32_t *ret_ms, char *error, size_t error_size);

// ${size} as units_parse_size reads it, without loss: "64K", "1000". Returns ${text}.
const char *units_print_size(uint64_t size, char text[UNITS_TEXT_SIZE]);

// ${size} for reading, rounded to three digits: "1.21M", "64K". Returns ${text}.
const char *units_print_size_short(uint64_t size, char text[UNITS_TEXT_SIZE]);

// ${ms} for reading: "1.5s", "19m59s", "2h03m". Returns ${text}.
const char *units_print_duration(uint64_t ms, char text[UNITS_TEXT_SIZE]);

#endif
