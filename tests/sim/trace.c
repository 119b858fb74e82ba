// SPDX-License-Identifier: MIT
#include "tests/sim/trace.h"

#include "core/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// ---- Text ----

// A line is made for almost every step of a world, so stdio would be what a run spends its time with. This knows the few
// conversions that the lines need.
struct text {
	char *bytes;
	size_t size, used;
};

static void
text_add_bytes(struct text *text, const char *bytes, size_t size)
{
	size_t room = text->size - 1 - text->used;

	if (size > room)
		size = room;
	memcpy(text->bytes + text->used, bytes, size);
	text->used += size;
}

static void
text_add_string(struct text *text, const char *string)
{
	text_add_bytes(text, string, strlen(string));
}

// At least ${width} characters, filled up with ${fill} on the left.
static void
text_add_number(struct text *text, uint64_t number, unsigned base, unsigned width, char fill)
{
	char digits[24];
	size_t at = sizeof digits;

	for (; number != 0 || at == sizeof digits; number /= base)
		digits[--at] = "0123456789abcdef"[number % base];
	while (sizeof digits - at < width)
		digits[--at] = fill;
	text_add_bytes(text, digits + at, sizeof digits - at);
}

static void
text_add_signed(struct text *text, int number)
{
	if (number < 0)
		text_add_bytes(text, "-", 1);
	text_add_number(text, number < 0 ? -(uint64_t)number : (uint64_t)number, 10, 0, ' ');
}

// Returns the end of the conversion that starts behind the '%'.
static const char *
text_add_hex(struct text *text, const char *at, uint64_t number)
{
	CHECK(strncmp(at, "#llx", 4) == 0);
	if (number != 0)
		text_add_bytes(text, "0x", 2);
	text_add_number(text, number, 16, 0, ' ');
	return at + 4;
}

static void
text_add_list(struct text *text, const char *format, va_list args)
{
	for (;;) {
		const char *at = strchrnul(format, '%');

		text_add_bytes(text, format, (size_t)(at - format));
		if (*at == '\0')
			break;
		format = at + 2;
		if (at[1] == 's') {
			text_add_string(text, va_arg(args, const char *));
		} else if (at[1] == 'u') {
			text_add_number(text, va_arg(args, unsigned), 10, 0, ' ');
		} else if (at[1] == 'd') {
			text_add_signed(text, va_arg(args, int));
		} else if (strncmp(at, "%llu", 4) == 0) {
			text_add_number(text, va_arg(args, unsigned long long), 10, 0, ' ');
			format = at + 4;
		} else {
			format = text_add_hex(text, at + 1, va_arg(args, unsigned long long));
		}
	}
}

static void __attribute__((format(printf, 2, 3))) text_add(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	text_add_list(text, format, args);
	va_end(args);
}

// ---- Lines ----

// Eight bytes at a time; the last ones are filled up with zeros.
static uint64_t
hash_bytes(uint64_t hash, const char *bytes, size_t size)
{
	for (size_t at = 0; at < size; at += sizeof hash) {
		uint64_t word = 0;

		memcpy(&word, bytes + at, size - at < sizeof word ? size - at : sizeof word);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash;
}

static struct text
line_begin(struct trace *trace, moment_us now)
{
	struct text line = {trace->ring[trace->count++ % TRACE_RING_COUNT], TRACE_LINE_SIZE, 0};

	text_add_bytes(&line, "[", 1);
	text_add_number(&line, now / 1000000, 10, 4, ' ');
	text_add_bytes(&line, ".", 1);
	text_add_number(&line, now % 1000000, 10, 6, '0');
	text_add_bytes(&line, "] ", 2);
	return line;
}

static void
line_end(struct trace *trace, enum trace_kind kind, struct text *line)
{
	line->bytes[line->used] = '\0';
	trace->hash = hash_bytes(trace->hash, line->bytes, line->used + 1);
	if (trace->sink != NULL)
		trace->sink(trace->arg, kind, line->bytes);
}

void
trace_add(struct trace *trace, enum trace_kind kind, moment_us now, const char *format, ...)
{
	struct text line;
	va_list args;

	if (trace->off)
		return;
	line = line_begin(trace, now);
	va_start(args, format);
	text_add_list(&line, format, args);
	va_end(args);
	line_end(trace, kind, &line);
}

void
trace_dump(const struct trace *trace)
{
	uint64_t first = trace->count > TRACE_RING_COUNT ? trace->count - TRACE_RING_COUNT : 0;

	for (uint64_t i = first; i < trace->count; i++)
		fprintf(stderr, "%s\n", trace->ring[i % TRACE_RING_COUNT]);
}

// ---- Messages ----

static void
text_add_time(struct text *text, const char *name, uint32_t ms)
{
	if (ms % 1000 == 0)
		text_add(text, " %s=%us", name, ms / 1000);
	else
		text_add(text, " %s=%ums", name, ms);
}

static void
text_add_items(struct text *text, const struct message *message)
{
	unsigned data = 0, zero = 0;

	for (uint32_t i = 0; i < message->count; i++) {
		data += message->items[i].kind == ITEM_DATA;
		zero += message->items[i].kind == ITEM_ZERO;
	}
	if (data > 0)
		text_add(text, data == 1 ? " data" : " data*%u", data);
	if (zero > 0)
		text_add(text, zero == 1 ? " zero" : " zero*%u", zero);
}

static void
text_add_name(struct text *text, const struct blob *name)
{
	text_add_string(text, " name=");
	text_add_bytes(text, (const char *)name->bytes, strnlen((const char *)name->bytes, name->size));
}

static void
text_add_block(struct text *text, const struct message *message)
{
	static const char *const perms[] = {"NO", "READ", "WRITE"};

	if (message->present & PRESENT(VOLUME_NAME))
		text_add_name(text, &message->volume_name);
	if (message->present & PRESENT(VOLUME_ID))
		text_add(text, " volume=%u", message->volume_id);
	if (message->present & PRESENT(BLOCK_NUM))
		text_add(text, " block=%llu", (unsigned long long)message->block);
	if (message->present & PRESENT(BLOCK_NUM) && message->count > 1)
		text_add(text, "+%u", message->count);
	if (message->present & PRESENT(PERMISSIONS))
		text_add(text, " perm=%s", message->perm <= PERM_WRITE ? perms[message->perm] : "?");
}

static void
text_add_message(struct text *text, const struct message *message)
{
	text_add_string(text, message_opcode_name(message->opcode));
	if (message->flags & FLAG_FORCE_SYNC)
		text_add_string(text, " FORCE_SYNC");
	if (message->flags & FLAG_RECOVERY_OP)
		text_add_string(text, " RECOVERY_OP");
	text_add_block(text, message);
	if (message->items != NULL)
		text_add_items(text, message);
	if (message->present & PRESENT(TTL))
		text_add_time(text, "ttl", message->ttl_ms);
	if (message->present & PRESENT(HB_TTL))
		text_add_time(text, "hb_ttl", message->hb_ttl_ms);
	if (message->present & PRESENT(STATUS))
		text_add(text, " status=%u (%s)", message->status, message_status_text(message->status));
}

void
trace_add_message(struct trace *trace, enum trace_kind kind, moment_us now, const char *from, const char *arrow,
		  const char *to, const struct message *message)
{
	struct text line;

	if (trace->off)
		return;
	line = line_begin(trace, now);
	text_add(&line, "%s %s %s  ", from, arrow, to);
	text_add_message(&line, message);
	line_end(trace, kind, &line);
}
