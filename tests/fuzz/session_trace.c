// SPDX-License-Identifier: MIT
#include "tests/fuzz/session_trace.h"

#include "tests/fuzz/session_grammar.h"
#include "tests/fuzz/session_script.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool
session_trace_on(void)
{
	static int on = -1;

	if (on < 0) {
		on = getenv("FUZZ_TRACE") != NULL;
		if (on)
			setvbuf(stdout, NULL, _IOLBF, 0); // the last line is the one that matters
	}
	return on;
}

void
session_trace(const char *format, ...)
{
	va_list args;

	if (!session_trace_on())
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

void
session_trace_message(const char *who, const char *what, const struct message *message)
{
	static const char *const perms[] = {"NO", "READ", "WRITE"};
	static const char *const kinds[] = {"without bytes", "zeros", "bytes"};

	if (!session_trace_on())
		return;
	printf("    %s %s %s xid %" PRIu32, who, what, message_opcode_name(message->opcode), message->xid);
	if (message->flags != 0)
		printf(" flags %x", message->flags);
	if (message->present & PRESENT(VOLUME_ID))
		printf(" volume %" PRIu32, message->volume_id);
	if (message->present & PRESENT(BLOCK_NUM))
		printf(" block %" PRIu64 "+%" PRIu32, message->block, message->count);
	if (message->present & PRESENT(PERMISSIONS))
		printf(" %s", perms[message->perm]);
	if (message->present & PRESENT(GRANT))
		printf(" grant %" PRIu64, message->grant);
	if (message->present & PRESENT(SESSION))
		printf(" session %" PRIu64, message->session);
	if (message->present & PRESENT(NODE_ID))
		printf(" node %" PRIu64, message->node_id);
	if (message->present & PRESENT(HB_TTL))
		printf(" hb_ttl %" PRIu32, message->hb_ttl_ms);
	if (message->present & PRESENT(TTL))
		printf(" ttl %" PRIu32, message->ttl_ms);
	if (message->present & PRESENT(STATUS))
		printf(" status %d", (int)message->status);
	if (message->items != NULL)
		printf(" %s of version %" PRIx64, kinds[message->items[0].kind], message->items[0].version);
	putchar('\n');
}

void
session_trace_record(size_t number, const uint8_t *record)
{
	static const char *const names[] = {
#define X(name) #name,
		SESSION_OPS(X)
#undef X
	};
	unsigned op = record[0] & 31;

	if (!session_trace_on())
		return;
	printf("%zu: %s", number, op < DO_COUNT ? names[op] : "nothing");
	for (unsigned i = 1; i < RECORD_SIZE; i++)
		printf(" %02x", record[i]);
	if (op == DO_FORGE)
		printf(" (%s)", grammar_form_name(record[2]));
	if (op == DO_ANSWER && record[2] != 0)
		printf(" (%s)", grammar_form_name(record[2] - 1u));
	putchar('\n');
}

void
session_trace_core(void *arg, const char *line)
{
	(void)arg;
	printf("    %s\n", line);
}
