// SPDX-License-Identifier: MIT
// With FUZZ_TRACE in the environment fuzz_session tells what it does, one line each, for whoever has to understand an
// input.
#ifndef HVFS_TESTS_FUZZ_SESSION_TRACE_H
#define HVFS_TESTS_FUZZ_SESSION_TRACE_H

#include "core/message.h"

// Is it wanted?
bool session_trace_on(void);

// A line, if it is wanted.
void session_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));

// "who what GET 7+2 WRITE ...".
void session_trace_message(const char *who, const char *what, const struct message *message);

// The operation of ${record}.
void session_trace_record(size_t number, const uint8_t *record);

// As core_config.trace; ${arg} is not used.
void session_trace_core(void *arg, const char *line);

#endif
