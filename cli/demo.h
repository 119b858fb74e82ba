// SPDX-License-Identifier: MIT
// The machinery of `hvfs demo`: a temporary directory, steps that are told and done, and a list of what has to be undone.
#ifndef HVFS_CLI_DEMO_H
#define HVFS_CLI_DEMO_H

#include "cli/process.h"

enum { DEMO_NODES_MAX = 8, DEMO_MOUNTS_MAX = 8, DEMO_ARGS_MAX = 24 };

struct demo {
	char directory[128];       // where it plays; the working directory
	char program[4096];        // this very binary
	bool use_loop;             // root, and the machine has loop devices
	const char *controls[DEMO_NODES_MAX]; // control sockets of running nodes, in the order of their start
	size_t control_count;
	const char *mounts[DEMO_MOUNTS_MAX];  // file systems that are mounted
	size_t mount_count;
	char devices[DEMO_MOUNTS_MAX][64];    // loop devices that are attached
	size_t device_count;
	bool failed;
};

// Make the directory and go there; catch signals. Returns 0, or -1 (said).
int demo_start(struct demo *demo);

// Undo everything that is left, in the right order, without words.
void demo_clean_up(struct demo *demo);

// Say a sentence or two.
void demo_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Show ${words} (separated by single spaces) as a command and run it; "hvfs" in front is this binary. After a failure or a
// signal, no further command is run. Returns true when it succeeded.
bool demo_run(struct demo *demo, const char *words);

// Start a node in the background: "hvfs serve WORDS --daemon".
bool demo_serve(struct demo *demo, const char *words, const char *control);
bool demo_stop(struct demo *demo, const char *control);

// Attach ${image} (with ${flags} after it, "" for none) and mount it on ${directory}; the reverse.
bool demo_mount(struct demo *demo, const char *image, const char *flags, const char *options, const char *directory);
bool demo_unmount(struct demo *demo, const char *directory);

#endif
