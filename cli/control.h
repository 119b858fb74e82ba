// SPDX-License-Identifier: MIT
// The client of a node's control socket: one line of JSON out, lines of JSON in (docs/architecture.md).
#ifndef HVFS_CLI_CONTROL_H
#define HVFS_CLI_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct control {
	char path[108];
	int fd;
	pid_t pid;  // of the node, or 0 where that can not be known
	int pidfd;  // the same, or -1
	char *line; // the last answer as it came
	char *bytes; // what came behind it
	size_t bytes_size, bytes_room;
	uint64_t deadline_ms; // of the monotonic clock; 0: none
	char error[1024]; // a sentence, after a failure
};

// Connect to ${path}; NULL: this host's node in the default place, or else the only socket there. Returns 0, or -1 with
// control->error set. In both cases control_close is due.
int control_open(struct control *control, const char *path);
void control_close(struct control *control);

// From now on wait for the node no longer than ${ms} in all; 0: as long as it takes.
void control_set_patience(struct control *control, uint64_t ms);

// Has it waited for so long?
bool control_is_too_late(const struct control *control);

// Send ${request}, which is taken over. Returns 0, or -1.
int control_ask(struct control *control, json_t *request);

// Send {"command": command, key: value}; ${key} may be NULL. Returns 0, or -1.
int control_send(struct control *control, const char *command, const char *key, const char *value);

// The next answer, an object: the caller's to json_decref. NULL: the node closed the connection, answered {"error": …},
// or nonsense; control->error says which.
json_t *control_receive(struct control *control);

// The same, but NULL and *ret_late when nothing has come within ${ms}; 0: no limit but that of control_set_patience.
json_t *control_receive_within(struct control *control, uint32_t ms, bool *ret_late);

// Wait until the node's process has ended. Returns 0, also where its process is not known; -1 when it takes too long.
int control_wait_gone(struct control *control);

// The same of a node that has failed, for ${ms} at most: control->error stays as it is.
void control_wait_end(struct control *control, uint32_t ms);

#endif
