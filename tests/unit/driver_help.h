// SPDX-License-Identifier: MIT
// What the tests of fuse/driver.c share: a real mount. In place of the core a few arrays of buffers answer, at once,
// later, or never; the loop runs on its own thread, so that the test itself can be the client.
#ifndef HVFS_TESTS_UNIT_DRIVER_HELP_H
#define HVFS_TESTS_UNIT_DRIVER_HELP_H

#include "core/buf.h"
#include "fuse/driver.h"

#include <check.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	VOLUMES = 4,
	SIZE = 4 << 20,
	HELD_MAX = 64,
	MIB = 1 << 20,
};

enum mode {
	ANSWER_NOW,   // within submit
	ANSWER_LATER, // from a later event, last block first
	ANSWER_NEVER, // until it is cancelled
};

struct help_volume {
	const char *name;
	uint32_t block_size;
	bool read_only;
	uint64_t size;
};

struct fixture {
	char directory[64];
	char detached[64]; // where a dead mount was taken away
	struct event_base *base;
	struct driver *driver;
	struct buf_pool *pools[VOLUMES];
	struct buf **blocks[VOLUMES];
	pthread_t thread;
	bool running;
	int command[2]; // run a function on the loop
	sem_t command_done;

	struct event *later;
	struct io *held[HELD_MAX];
	unsigned held_count;
	_Atomic enum mode mode;
	sem_t submitted, cancelled_sem, unmounted_sem;
	atomic_int syncs, forced, zeroes, cancels, unmounts, submits;
	atomic_int error;      // what the next answers say
	atomic_int sync_error; // the same, of synchronisations
	atomic_int last_kind;  // of the last io
	_Atomic uint32_t stream;
	_Atomic uint64_t size_max;
	atomic_int cpus, cpu; // how many the loop's thread may use, and the first of them
};

extern const struct help_volume help_volumes[VOLUMES];
extern struct fixture *fix; // of this test

// True when mounts work here; else says why not. Before the suite runs.
bool help_can_mount(void);

// Checked fixture: a mount with all volumes but the last one, and its loop.
void help_setup(void);

// The end of it: nothing may be left of the mount, nor a buffer in use.
void help_teardown(void);

// What help_on_loop runs.
typedef void (*help_command)(struct fixture *f);

// Run ${function} on the loop; returns when it has run.
void help_on_loop(help_command function);

// On the loop: answer the ios that are held.
void help_answer_held(struct fixture *f);

// On the loop: give the driver help_volumes[${i}].
void help_add_volume(uint32_t i);

// End the loop and its thread, if they run.
void help_stop(void);

// A driver of its own at ${directory}, with the callbacks of the fixture. Returns NULL with a sentence in ${error}.
struct driver *help_mount(struct event_base *base, const char *directory, char *error, size_t error_size);

// The path of the volume ${name}; the next call of the thread overwrites it.
const char *help_path(const char *name);

// Open the volume ${name}, which must succeed.
int help_open(const char *name, int flags);

// Memory fit for O_DIRECT, to be freed.
void *help_page_memory(size_t size);

// A number below ${limit}, the same ones in each run.
uint32_t help_random_below(uint32_t limit);

// Fill ${bytes} with such numbers.
void help_random_fill(uint8_t *bytes, size_t size);

#endif
