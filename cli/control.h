// SPDX-License-Identifier: MIT
// The client of a node's control socket: one line of JSON out, lines of JSON in (docs/architecture.md).
#ifndef HVFS_CLI_CONTROL_H
#define HVFS_CLI_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

struct control {
	char path[108];
	int fd;
	FILE *stream;
	int pidfd;  // of the node, or -1 where that can not be known
	char *line; // the last answer as it came
	size_t line_room;
	char error[512]; // a sentence, after a failure
};

// Connect to ${path}; NULL: this host's node in the default place, or else the only socket there. Returns 0, or -1 with
// control->error set. In both cases control_close is due.
int control_open(struct control *control, const char *path);
void control_close(struct control *control);

// Send {"command": command, key: value}; ${key} may be NULL. Returns 0, or -1.
int control_send(struct control *control, const char *command, const char *key, const char *value);

// The next answer, an object: the caller's to json_decref. NULL: the node closed the connection, answered {"error": …},
// or nonsense; control->error says which, and *ret_closed (may be NULL) whether it was a clean end of the connection.
json_t *control_receive(struct control *control, bool *ret_closed);

// Wait until the node's process has ended. Returns at once where its pidfd is not known.
void control_wait_gone(struct control *control);

#endif
