// SPDX-License-Identifier: MIT
// What happened in a run, one line each: the last lines for a failure report, a hash of all for the test that a seed
// fixes a run, and all of them for whoever asks.
#ifndef HVFS_TESTS_SIM_TRACE_H
#define HVFS_TESTS_SIM_TRACE_H

#include "core/message.h"

enum { TRACE_LINE_SIZE = 320, TRACE_RING_COUNT = 80 };

// Which kind of line: a sink may want only some.
enum trace_kind {
	TRACE_CORE,    // a transition, told by the core
	TRACE_SEND,    // a message leaves
	TRACE_RECEIVE, // a message arrives
	TRACE_BEAT,    // a HEARTBEAT or its answer leaves
	TRACE_IO,      // a local request begins or ends
	TRACE_STORE,   // a root's storage is read, written, synced
	TRACE_WORLD,   // links, faults, phases
};

struct trace {
	bool off; // no line is made
	char ring[TRACE_RING_COUNT][TRACE_LINE_SIZE];
	uint64_t count;
	uint64_t hash;
	void (*sink)(void *arg, enum trace_kind kind, const char *line); // or NULL
	void *arg;
};

// Add the line "[seconds] text". Lines longer than TRACE_LINE_SIZE are cut.
void trace_add(struct trace *trace, enum trace_kind kind, moment_us now, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

// Add the line "[seconds] ${from} ${arrow} ${to}  GET volume=1 block=7 perm=READ". Grant numbers, transaction ids,
// sessions and credits are left out: they carry no meaning for a reader.
void trace_add_message(struct trace *trace, enum trace_kind kind, moment_us now, const char *from, const char *arrow,
		       const char *to, const struct message *message);

// Write the last lines to stderr. Also called from signal handlers: the process is ending.
void trace_dump(const struct trace *trace);

#endif
