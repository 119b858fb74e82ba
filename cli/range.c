// SPDX-License-Identifier: MIT
#include "cli/range.h"

#include "node/units.h"

#include <stdio.h>
#include <string.h>

int
range_parse(const char *text, uint64_t *ret_begin, uint64_t *ret_end, char *error, size_t error_size)
{
	char from[32], why[160];
	uint64_t begin, end = RANGE_TO_END;
	const char *dash = strchr(text, '-');
	if (dash == NULL || dash == text || (size_t)(dash - text) >= sizeof from) {
		snprintf(error, error_size, "right would be FROM-TO, as 0-1G, or FROM- for all that follows");
		return -1;
	}
	memcpy(from, text, (size_t)(dash - text));
	from[dash - text] = '\0';
	const char *wrong = from;
	int status = units_parse_size(from, &begin, why, sizeof why);
	if (status == 0 && dash[1] != '\0') {
		wrong = dash + 1;
		status = units_parse_size(wrong, &end, why, sizeof why);
	}
	if (status != 0) {
		snprintf(error, error_size, "%.40s: %s", wrong, why);
		return -1;
	}
	if (end <= begin) {
		snprintf(error, error_size, "it is empty; right would be FROM-TO with TO behind FROM");
		return -1;
	}
	*ret_begin = begin;
	*ret_end = end;
	return 0;
}
