// SPDX-License-Identifier: MIT
#include "node/units.h"

#include <stdio.h>
#include <string.h>

// Digits at the start of ${text}. Returns what follows them; NULL when there are none or the number is too large.
static const char *
parse_number(const char *text, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *at = text;
	for (; *at >= '0' && *at <= '9'; at++)
		if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(*at - '0'), &number))
			return NULL;
	*ret_number = number;
	return at == text ? NULL : at;
}

static int
size_shift(const char *unit)
{
	static const struct {
		char upper, lower;
		int shift;
	} units[] = { { 'K', 'k', 10 }, { 'M', 'm', 20 }, { 'G', 'g', 30 }, { 'T', 't', 40 } };

	if (unit[0] == '\0')
		return 0;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++)
		if ((unit[0] == units[i].upper || unit[0] == units[i].lower) && unit[1] == '\0')
			return units[i].shift;
	return -1;
}

int
units_parse_size(const char *text, uint64_t *ret_size, char *error, size_t error_size)
{
	uint64_t number = 0;
	const char *unit = parse_number(text, &number);
	int shift = unit == NULL ? -1 : size_shift(unit);
	if (shift < 0) {
		snprintf(error, error_size, "no size; right would be a whole number of bytes, or one with K, M, G or T: 4096, 64K, 1G");
		return -1;
	}
	// Offsets are signed 64-bit numbers everywhere below.
	if (number > (uint64_t)INT64_MAX >> shift) {
		snprintf(error, error_size, "too large; at most 8388607T");
		return -1;
	}
	*ret_size = number << shift;
	return 0;
}

int
units_parse_duration(const char *text, uint32_t *ret_ms, char *error, size_t error_size)
{
	static const struct {
		const char *name;
		uint32_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 }, { "h", 60 * 60 * 1000 } };

	uint64_t number = 0;
	const char *unit = parse_number(text, &number);
	for (size_t i = 0; unit != NULL && i < sizeof units / sizeof *units; i++) {
		if (strcmp(unit, units[i].name) != 0)
			continue;
		if (number == 0 || number > UINT32_MAX / units[i].ms) {
			snprintf(error, error_size, "out of range; right would be 1ms to 1193h");
			return -1;
		}
		*ret_ms = (uint32_t)number * units[i].ms;
		return 0;
	}
	snprintf(error, error_size, "no duration; right would be a whole number with ms, s, m or h: 500ms, 30s, 20m, 1h");
	return -1;
}

const char *
units_print_size(uint64_t size, char text[UNITS_TEXT_SIZE])
{
	static const char units[] = { 'T', 'G', 'M', 'K' };

	for (size_t i = 0; i < sizeof units; i++) {
		unsigned shift = 40 - 10 * (unsigned)i;
		if (size != 0 && (size & ((UINT64_C(1) << shift) - 1)) == 0) {
			snprintf(text, UNITS_TEXT_SIZE, "%llu%c", (unsigned long long)(size >> shift), units[i]);
			return text;
		}
	}
	snprintf(text, UNITS_TEXT_SIZE, "%llu", (unsigned long long)size);
	return text;
}

const char *
units_print_size_short(uint64_t size, char text[UNITS_TEXT_SIZE])
{
	static const char units[] = "KMGTPE";

	if (size < 1024) {
		snprintf(text, UNITS_TEXT_SIZE, "%llu", (unsigned long long)size);
		return text;
	}
	double value = (double)size / 1024;
	size_t unit = 0;
	// 999.5 would be printed as 1000.
	for (; value >= 999.5 && units[unit + 1] != '\0'; unit++)
		value /= 1024;
	int digits = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
	snprintf(text, UNITS_TEXT_SIZE, "%.*f", digits, value);
	// 64.0 says no more than 64.
	char *dot = strchr(text, '.');
	if (dot != NULL && strspn(dot + 1, "0") == strlen(dot + 1))
		*dot = '\0';
	size_t size_text = strlen(text);
	text[size_text] = units[unit];
	text[size_text + 1] = '\0';
	return text;
}

const char *
units_print_duration(uint64_t ms, char text[UNITS_TEXT_SIZE])
{
	uint64_t s = ms / 1000;
	if (s < 10)
		snprintf(text, UNITS_TEXT_SIZE, "%u.%us", (unsigned)s, (unsigned)(ms % 1000 / 100));
	else if (s < 60)
		snprintf(text, UNITS_TEXT_SIZE, "%us", (unsigned)s);
	else if (s < 3600)
		snprintf(text, UNITS_TEXT_SIZE, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else
		snprintf(text, UNITS_TEXT_SIZE, "%lluh%02um", (unsigned long long)(s / 3600), (unsigned)(s / 60 % 60));
	return text;
}
