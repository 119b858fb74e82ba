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
	WAIT_DISK,    // one on a disk comes, goes, or is replaced
	WAIT_WARM,    // blocks are brought into the cache
	WAIT_ACL,     // a change of rights is written
	WAIT_UNMOUNT, // it unmounts; told when that has happened
};

struct client {
	struct client *next;
	struct control *control;
	struct bufferevent *stream;
	enum wait wait;
	struct flush *flush;  // WAIT_FLUSH
	struct warm *warm;    // WAIT_WARM
	bool flush_unmounts;  // and then it unmounts
	uint32_t level_id;    // WAIT_CACHE; WAIT_DISK: the change's number
	uint64_t acl_change;  // WAIT_ACL: the number of its change, and what it was about
	const char *right_was, *right_is;
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
	struct warm *warms;
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

// ---- control_acl.c ----
// Who may do what: show it; change it.
void command_run_acl(struct client *client, const json_t *request);
void command_run_allow(struct client *client, const json_t *request);
void command_run_deny(struct client *client, const json_t *request);

// ---- control_cache.c ----
// The command "cache": its "action" says what is to be done.
void command_run_cache(struct client *client, const json_t *request);

// Whether the stack could have ${added} in place of the level at ${replaced} (-1: of none). False: the client has its answer.
bool cache_check_size(struct client *client, int replaced, const struct level_config *added);

// Set ${level} as ${values} say. False: the client has its answer.
bool cache_read_values(struct client *client, const json_t *values, struct level_config *level);

// A level that is there, and what it is. False: the client has its answer.
bool cache_read_position(struct client *client, const json_t *request, const char *key, uint32_t *ret_position,
			 struct stack_level_stats *ret);

// Log what the cache is like.
void cache_log(const struct node *node);

// The change that ${client} waited for has been made.
void cache_answer_changed(struct client *client);

// ${client} waits for the level in memory called ${id}, if that changes still; else it has its answer.
void cache_wait_for_level(struct client *client, uint32_t id);

// ---- control_cache_disk.c ----
// Is it the level on a disk that ${request} names by ${key}?
bool cache_is_disk(const struct client *client, const json_t *request, const char *key);

// Actions of the command "cache", of that level; ${text} is disk:PATH:SIZE.
void action_add_disk(struct client *client, const char *text);
void action_remove_disk(struct client *client);
void action_set_disk(struct client *client, const json_t *values);
// A level goes to another medium: "mem", or a path.
void action_move_medium(struct client *client, const json_t *request, const char *medium);
// The change's progress, to those who wait for it.
void cache_disk_moved(struct control *control);

// ---- control_range.c ----
// Actions of the command "cache".
void action_warm(struct client *client, const json_t *request);
void action_pin(struct client *client, const json_t *request);
void action_unpin(struct client *client, const json_t *request);

// ---- control_flush.c ----
// Synchronise ${volume}, -1: all; then command_flush_ended.
void flush_start(struct client *client, int volume);
void flush_free(struct flush *flush);
// Is ${io} one of a flush? Then it is finished.
bool flush_io_done(struct control *control, struct io *io, enum hvfs_error error);

// ---- control_warm.c ----
// Read bytes [${begin}, ${end}) of ${volume}, not all at once; then answer the client.
void warm_start(struct client *client, uint32_t volume, uint64_t begin, uint64_t end);
void warm_free(struct warm *warm);
// Its client has gone: what is on its way comes, and nothing more.
void warm_leave(struct warm *warm);
// Is ${io} one of a warming?
bool warm_has(const struct control *control, const struct io *io);
// The same; then it is finished.
bool warm_io_done(struct control *control, struct io *io, enum hvfs_error error);

#endif
