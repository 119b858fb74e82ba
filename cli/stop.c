// SPDX-License-Identifier: MIT
#include "cli/stop.h"

#include "node/units.h"

#include <stdio.h>

enum { SILENCE_MS = 5000 }; // a node that lives says something within a quarter of a second

static void
print_one(const json_t *object)
{
	char text[UNITS_TEXT_SIZE];
	const json_t *bytes = json_object_get(object, "bytes"), *blocks = json_object_get(object, "blocks");
	const json_t *since = json_object_get(object, "since_ms");
	const char *what = json_string_value(json_object_get(object, "what"));
	fputs(what != NULL ? what : "?", stderr);
	if (json_is_integer(bytes))
		fprintf(stderr, " (%s)", units_print_size_short((uint64_t)json_integer_value(bytes), text));
	if (json_is_integer(blocks))
		fprintf(stderr, " (%lld blocks)", (long long)json_integer_value(blocks));
	if (json_is_integer(since))
		fprintf(stderr, ", for %s", units_print_duration((uint64_t)json_integer_value(since), text));
}

void
stop_print_waiting(const char *name, const json_t *list)
{
	size_t index;
	const json_t *object;
	if (json_array_size(list) == 0)
		return;
	fprintf(stderr, "hvfs %s: waiting: ", name);
	json_array_foreach(list, index, object) {
		if (index > 0)
			fputs("; ", stderr);
		print_one(object);
	}
	fputc('\n', stderr);
}

// {"ok":true} says that all is flushed and unmounted; then the process ends, and only after that are its sockets and its
// lock on the store free for the next one. So it is with {"error": …}: a stop that fails is an end, too.
int
stop_wait(struct control *control, const char *name)
{
	uint32_t silence_ms = SILENCE_MS; // until it is told that nothing is heard
	for (;;) {
		bool late = false;
		json_t *answer = control_receive_within(control, silence_ms, &late);
		silence_ms = 0; // once it has said something, it only says what is new
		if (answer == NULL && late) {
			fprintf(stderr, "hvfs %s: waiting: the node, pid %ld, does not answer\n", name, (long)control->pid);
			continue;
		}
		if (answer == NULL) {
			control_wait_end(control, STOP_END_MS);
			return -1;
		}
		bool done = json_is_true(json_object_get(answer, "ok"));
		stop_print_waiting(name, json_object_get(answer, "waiting"));
		json_decref(answer);
		if (done)
			return control_wait_gone(control);
	}
}

int
stop_node(struct control *control, const char *name, uint32_t timeout_ms)
{
	json_t *request = json_pack("{ss}", "command", "stop");
	if (timeout_ms > 0)
		json_object_set_new(request, "timeout_ms", json_integer(timeout_ms));
	if (control_ask(control, request) != 0)
		return -1;
	control_set_patience(control, timeout_ms > 0 ? (uint64_t)timeout_ms + STOP_END_MS : 0);
	return stop_wait(control, name);
}
