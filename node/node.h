// SPDX-License-Identifier: MIT
// A running node: the one place where the layers meet. Feeds the core with events of links, stores, the driver and the
// clock, performs its actions, answers on the control socket.
#ifndef HVFS_NODE_NODE_H
#define HVFS_NODE_NODE_H

#include "crypto/volume_key.h"
#include "node/cache_spec.h"
#include "core/core.h"
#include "net/address.h"
#include "node/settings.h"

#include <sys/types.h>

struct node;

// How the storage of a sealed volume has its blocks.
enum at_rest {
	AT_REST_DEFAULT, // as it has them; sealed, if there are none yet
	AT_REST_SEALED,  // as ciphertext, with the verifiers in a file beside it
	AT_REST_PLAIN,   // as a raw image
};

struct node_volume {
	char name[LIMIT_NAME_SIZE + 1];
	char store[4096];  // "" : taken from a parent
	bool read_only;
	const struct volume_key *key; // the volume is sealed with it; NULL: it is not. Outlives the node
	enum at_rest at_rest;         // of a sealed one with a store
};

struct node_config {
	char name[LIMIT_NAME_SIZE + 1];
	struct node_volume volumes[LIMIT_VOLUMES];
	size_t volume_count;
	struct address parents[LIMIT_PARENTS];
	size_t parent_count;
	struct address listens[LIMIT_LISTENERS];
	size_t listen_count;
	char mount[4096];      // "": no mount
	bool allow_other, allow_root;
	// Everything is open and mounted, and nothing is given to anybody: what that took can be given up. Returns 0, or -1 and
	// a sentence. And: take the mount away, when this process may not any more. NULL: nothing is given up; it may.
	int (*confine)(void *arg, struct node *node, char *error, size_t error_size);
	void (*unmount)(void *arg);
	void *confine_arg;
	char control[108];     // path of the control socket
	char key[4096];        // file of this node's key; "": it has none, and TCP is plain
	char acl[4096];        // file of who may do what; "": nobody but who need not be listed
	char rescue[4096];     // directory for what can not be brought to the root any more; "": it is lost
	struct level_config levels[STACK_LEVELS_MAX]; // of the cache, top first
	uint32_t level_count;
	struct cache_disk_config cache_disk; // below them
	char journal[4096];    // what is not durable at the root is kept there for --durability local; "": nowhere
	uint64_t journal_size;
	struct settings settings;
	bool read_only;        // every volume
	bool insecure;         // plain TCP beyond loopback allowed
	uint32_t hb_ttl_ms, ttl_ms;
	uint32_t io_timeout_ms;
	uint32_t writeback_ms;
	uint32_t readahead_size; // bytes
	uint64_t directory_max;  // records
};

// The defaults of docs/protocol.md and cli.
void node_config_default(struct node_config *config);

// Check ${config}: sizes, names, combinations; plain TCP beyond this machine without insecure. Returns 0, or -1 and a
// sentence that names the flag, the value and what would be right.
int node_config_check(const struct node_config *config, char *error, size_t error_size);

// Check ${config} (as above) and open stores, listeners, control socket and mount. Returns NULL and a sentence that names the flag or thing, the value and what would be right; nothing is left
// behind then. ready(arg) is called once from node_run: everything that was asked for is mounted and each volume's size
// known. failed(arg, text) is called instead when a volume can not be had from the parent (unknown there, parent is no
// hvfs): node_run then returns 1.
struct node *node_create(const struct node_config *config, void (*ready)(void *arg), void (*failed)(void *arg, const char *text),
	void *arg, char *error, size_t error_size);

// ---- For node_config.confine, of a node that was started by root and is to go on as another user ----

// Give that user the sockets that it listens on, and the files that it may open again. Returns 0, or -1 and a sentence.
int node_give(struct node *node, uid_t uid, gid_t gid, char *error, size_t error_size);

// The process is that user: can it write wherever it will have to? Returns 0, or -1 and what is not so. What it may have to
// write, if something goes wrong, is only warned of.
int node_check_writable(const struct node *node, char *error, size_t error_size);

// The absolute path of the mount, or NULL. The number of the mount of a node that is seen on ${path}; 0: there is none.
const char *node_mount_path(const struct node *node);
uint64_t node_find_mount(const char *path);

// ----

// Run until SIGTERM, SIGINT, `hvfs stop` or an unmount from outside: flush, unmount, leave in order. Returns the exit
// status: 0, or 1 when something could not be brought to the root (said on the log).
int node_run(struct node *node);

void node_destroy(struct node *node);

#endif
