// SPDX-License-Identifier: MIT
// What the tests of the store share: a directory of their own, ios that remember how they ended, a small loop.
#ifndef HVFS_TESTS_UNIT_STORE_HELP_H
#define HVFS_TESTS_UNIT_STORE_HELP_H

#include "store/store.h"

#include <check.h>
#include <limits.h>

#define MIB (UINT64_C(1) << 20)

// An io of the test. Not moved while it runs.
struct test_io {
	struct store_io io;
	struct iovec one;
	int calls;  // of done
	int result; // of the last one
};

extern char help_dir[PATH_MAX / 2]; // of this test
extern char help_path[PATH_MAX];   // help_dir/disk.img
extern char help_error[1024];      // the last sentence
extern const char *const help_engines[];
extern int help_engine_count;      // those that work here

// Find the engines. Before the suite runs.
void help_find_engines(void);

// Checked fixture: help_dir is made, and removed with all that is in it.
void help_setup(void);
void help_teardown(void);

// Make and open help_path, or open it again, with help_engines[${engine}].
struct store *help_create(int engine, uint64_t size, uint32_t block_size);
struct store *help_open(int engine, bool read_only);

// The open must fail with a sentence that has help_path and ${wanted} in it.
void help_open_fails(bool read_only, const char *wanted);

// Submit one io; help_wait until it has ended.
void help_submit(struct store *store, struct test_io *io, enum store_op op, uint64_t offset, void *bytes, uint64_t size);
void help_submit_list(struct store *store, struct test_io *io, enum store_op op, uint64_t offset, struct iovec *iov,
	int count);
void help_wait(struct store *store, struct test_io *ios, int count);

// Submit, wait; returns the errno value.
int help_do(struct store *store, enum store_op op, uint64_t offset, void *bytes, uint64_t size);

// The same of a write or zeroing whose blocks get ${versions}.
int help_do_versions(struct store *store, enum store_op op, uint64_t offset, void *bytes, uint64_t size,
	const version_t *versions);

// Fill ${bytes} with what only ${seed} gives.
void help_pattern(uint8_t *bytes, size_t size, uint32_t seed);

// Zeros, to be freed.
uint8_t *help_allocate(size_t size);

// ${size} bytes of help_path at ${offset}, by another descriptor: what fsck or a loop device would see.
void help_file_has(uint64_t offset, const uint8_t *bytes, size_t size);

// In a mount namespace of its own: mount ${type} at help_dir. Returns false where that is not permitted.
bool help_mount(const char *type, const char *options);

#endif
