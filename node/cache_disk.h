// SPDX-License-Identifier: MIT
// The file or device of a level of the cache on a disk. Only cache_disk.c and cache_change.c include this.
#ifndef HVFS_NODE_CACHE_DISK_H
#define HVFS_NODE_CACHE_DISK_H

#include "node/disk_file.h"
#include "node/internal.h"

struct file_store;

struct cache_disk {
	struct node *node;
	struct cache_disk *next; // of the node's
	struct cache_disk_config config;
	char path[sizeof((struct cache_disk_config *)0)->path + 8]; // of its file: while it takes the place of another one not config.path
	struct disk_file disk_file; // its descriptor is the store's, once there is one
	struct disk_level *level;   // opened, and not yet the stack's; or the stack's no more
	bool anew, emptied;         // opened for another level's blocks; something was there that is given up
	struct file_store *file;
	struct event *readable, *due; // its poll_fd; it wants to be looked at though that is not readable
	struct event *wake;
	bool wanted;      // the core is to be told
	unsigned untold;  // submitted since the last kick
	uint64_t running; // submitted, not done
	char failure[300]; // of the medium; "": none
};

// For a level like ${config}, with what it does not say chosen; its file is ${path}. Not yet one of the node's.
struct cache_disk *cache_disk_create(struct node *node, const struct cache_disk_config *config, const char *path);

// Open its file and lock it; take over what is there, or (${anew}) empty it; read records that are there, as many as a
// step has, as long as some are left. All three block; on any thread. Errors are sentences that begin with ${flag} and the
// path.
int cache_disk_open_file(struct cache_disk *disk, const char *flag, char *error, size_t error_size);
int cache_disk_open_level(struct cache_disk *disk, bool anew, char *error, size_t error_size);
int cache_disk_open_more(struct cache_disk *disk, char *error, size_t error_size);

// It is one of the node's, and reads and writes; ${ret_hooks} are for the stack.
int cache_disk_begin(struct cache_disk *disk, struct stack_disk_hooks *ret_hooks, char *error, size_t error_size);

// Nothing is under way: it is none of the node's any more. Returns a descriptor that keeps it open and locked, or -1.
int cache_disk_end(struct cache_disk *disk);

// Its file, if it is open still, is closed.
void cache_disk_destroy(struct cache_disk *disk);

#endif
