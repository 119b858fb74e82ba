// SPDX-License-Identifier: MIT
// The control socket: its clients, and the commands that take time. Only control.c and commands.c include this.
#ifndef HVFS_NODE_CONTROL_H
#define HVFS_NODE_CONTROL_H

#include "node/internal.h"

struct bufferevent;

// What a client waits for before its next command.
enum wait {
	WAIT_NOT,
	WAIT_FLUSH,
	WAIT_STOP,
	WAIT_CACHE,   // a level of the cache changes
	WAIT_UNMOUNT, // it unmounts; told when that has happened
};

struct client {
	struct client *next;
	struct control *control;
	struct bufferevent *stream;
	enum wait wait;
	struct flush *flush;  // WAIT_FLUSH
	bool flush_unmounts;  // and then it unmounts
	uint32_t level_id;    // WAIT_CACHE
	moment_us deadline;   // of its unmounting, 0: none
	bool ended; // it will not ask any more
};

struct flush {
	struct flush *next;
	struct control *control;
	struct client *client; // NULL: gone
	struct event *progress;
	char *waiting_told; // see node_waiting_flush
	int volume; // -1: all
	unsigned running;
	enum hvfs_error error; // the first one
	uint32_t failed_volume;
	struct io ios[LIMIT_VOLUMES]; // by the core's index
};

struct control {
	struct node *node;
	struct listener *listener;
	struct client *clients;
	unsigned client_count;
	struct flush *flushes;
};

enum { PROGRESS_MS = 250 };

// ---- control.c ----
// Takes over ${object}.
void client_answer(struct client *client, json_t *object);
void client_answer_error(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
void client_answer_ok(struct client *client);
// What it waited for is over: its next command, from the loop.
void client_go_on(struct client *client);

// ---- commands.c ----
// Perform ${request}, whose command is ${command}; an unknown one is answered, too.
void command_run(struct client *client, const char *command, const json_t *request);
// The flush that the client waits for is over.
void command_flush_ended(struct client *client, const struct flush *flush);

// The volume that ${request} names, or -1 and the client has its answer.
int command_find_volume(struct client *client, const json_t *request);

// ---- control_cache.c ----
// The command "cache": its "action" says what is to be done.
void command_run_cache(struct client *client, const json_t *request);

// ---- control_flush.c ----
// Synchronise ${volume}, -1: all; then command_flush_ended.
void flush_start(struct client *client, int volume);
void flush_free(struct flush *flush);

#endif
