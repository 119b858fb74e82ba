// SPDX-License-Identifier: MIT
#include "tests/sim/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static uint64_t
hash_bytes(uint64_t hash, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void
trace_add(struct trace *trace, enum trace_kind kind, moment_us now, const char *format, ...)
{
	char *line = trace->ring[trace->count++ % TRACE_RING_COUNT];
	int used = snprintf(line, TRACE_LINE_SIZE, "[%4llu.%06llu] ", (unsigned long long)(now / 1000000),
			    (unsigned long long)(now % 1000000));
	va_list args;

	va_start(args, format);
	vsnprintf(line + used, TRACE_LINE_SIZE - (size_t)used, format, args);
	va_end(args);
	trace->hash = hash_bytes(trace->hash, line, strlen(line) + 1);
	if (trace->sink != NULL)
		trace->sink(trace->arg, kind, line);
}

void
trace_dump(const struct trace *trace)
{
	uint64_t first = trace->count > TRACE_RING_COUNT ? trace->count - TRACE_RING_COUNT : 0;

	for (uint64_t i = first; i < trace->count; i++)
		fprintf(stderr, "%s\n", trace->ring[i % TRACE_RING_COUNT]);
}

// ---- Messages ----

struct text {
	char *bytes;
	size_t size, used;
};

static void __attribute__((format(printf, 2, 3))) text_add(struct text *text, const char *format, ...)
{
	va_list args;
	int added;

	va_start(args, format);
	added = vsnprintf(text->bytes + text->used, text->size - text->used, format, args);
	va_end(args);
	if (added > 0)
		text->used += (size_t)added < text->size - text->used ? (size_t)added : text->size - text->used - 1;
}

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
text_add_block(struct text *text, const struct message *message)
{
	static const char *const perms[] = {"NO", "READ", "WRITE"};

	if (message->present & PRESENT(VOLUME_NAME))
		text_add(text, " name=%.*s", (int)message->volume_name.size, (const char *)message->volume_name.bytes);
	if (message->present & PRESENT(VOLUME_ID))
		text_add(text, " volume=%u", message->volume_id);
	if (message->present & PRESENT(BLOCK_NUM))
		text_add(text, " block=%llu", (unsigned long long)message->block);
	if (message->present & PRESENT(BLOCK_NUM) && message->count > 1)
		text_add(text, "+%u", message->count);
	if (message->present & PRESENT(PERMISSIONS))
		text_add(text, " perm=%s", message->perm <= PERM_WRITE ? perms[message->perm] : "?");
}

const char *
trace_message(const struct message *message, char *bytes, size_t size)
{
	struct text text = {bytes, size, 0};

	text_add(&text, "%s", message_opcode_name(message->opcode));
	if (message->flags & FLAG_FORCE_SYNC)
		text_add(&text, " FORCE_SYNC");
	if (message->flags & FLAG_RECOVERY_OP)
		text_add(&text, " RECOVERY_OP");
	text_add_block(&text, message);
	if (message->items != NULL)
		text_add_items(&text, message);
	if (message->present & PRESENT(TTL))
		text_add_time(&text, "ttl", message->ttl_ms);
	if (message->present & PRESENT(HB_TTL))
		text_add_time(&text, "hb_ttl", message->hb_ttl_ms);
	if (message->present & PRESENT(STATUS))
		text_add(&text, " status=%u (%s)", message->status, message_status_text(message->status));
	return bytes;
}
