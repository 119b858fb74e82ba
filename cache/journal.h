// SPDX-License-Identifier: MIT
// Bytes that were written here and are not durable at the root yet, in a file or on a block device: so that a fsync may
// be answered when they are there (--durability local). After a crash they are read back, and claimed (protocol.md F3). A
// ring of records; docs/cache.md has its format. Nothing here does I/O while the node runs: the caller writes what
// journal_take gives, durably, one record at a time.
#ifndef HVFS_CACHE_JOURNAL_H
#define HVFS_CACHE_JOURNAL_H

#include "cache/medium.h"
#include "cache/sealed.h"
#include "core/author.h"
#include "core/buf.h"
#include "core/limits.h"
#include "core/types.h"

enum { JOURNAL_PAGE = 4096, JOURNAL_RECORD_BLOCKS = 100 };

struct journal;

struct journal_hooks {
	void *arg;
	// The pool for blocks of ${size} that are found.
	struct buf_pool *(*pool)(void *arg, uint32_t size);
	// How blocks of ${volume} are on the medium, which outlives the journal; NULL, also for the function: as in memory.
	const struct sealed_form *(*form)(void *arg, const char *volume);
	bool sealed; // there is a volume with a form
};

// What an earlier run has left.
struct journal_found {
	const char *volume;
	uint64_t block;
	version_t version;
	uint32_t block_size;
	struct buf *buf; // borrowed; with its proof, of a sealed volume
};

struct journal_stats {
	uint64_t size;             // bytes of records that there is room for
	uint64_t blocks;           // that are in it
	uint64_t waiting;          // that are to be written
	uint64_t found, damaged;   // blocks of an earlier run; records, or blocks, of it that are not what they should be
	bool torn;                 // the last record of it was being written when it ended
	uint64_t records, written; // since the start; bytes of them
	int sys_errno;             // it could not be written: nothing is kept there any more; 0: all is well
};

// Take over ${medium}, of ${size} bytes; it is formatted if it is empty, or of another size and has nothing in it that is
// needed.
// Returns NULL and a sentence without the medium's name: what is wrong, what to do.
struct journal *journal_open(const struct medium *medium, uint64_t size, const struct journal_hooks *hooks, char *error,
			     size_t error_size);
void journal_close(struct journal *journal);

// The ${i}-th block that was found; false: there are no more.
bool journal_found(const struct journal *journal, size_t i, struct journal_found *ret);

// Under which names what was found of ${volume} may be on record; false: nothing was found of it.
bool journal_found_author(const struct journal *journal, const char *volume, struct author *ret);

// Volume ${index} of this node is ${name}; what was found of it is what was put of it.
void journal_set_volume(struct journal *journal, uint32_t index, const char *name);

// All that was found has been put again: its records count until that is written.
void journal_taken_over(struct journal *journal);

// Under which names blocks of volume ${index} are held from now on. It goes along with the next record of the volume; if
// there are blocks of it in the journal already one becomes due.
void journal_set_author(struct journal *journal, uint32_t index, const struct author *author);

// ${key} has these bytes, which are not at the root. Takes a count.
void journal_put(struct journal *journal, block_key key, version_t version, struct buf *buf, uint32_t block_size);

// The root has what was put of ${key}, or it is given up.
void journal_forget(struct journal *journal, block_key key);

// Is there something to be written?
bool journal_is_due(const struct journal *journal);

// What journal_done reports as done, once all that was put until now is written.
uint64_t journal_point(const struct journal *journal);

// The next record: have it sealed, write it, durably, then call journal_written. False: there is no room (then all of it waits until there
// is), or nothing to write, or one is being written.
bool journal_take(struct journal *journal, uint64_t *ret_offset, const uint8_t **ret_bytes, size_t *ret_size);

// Make the bytes of the record that was taken, if it is of a sealed volume, those that are to be written; takes about 10 us
// for each block. On any thread. Returns 0, or an errno value for journal_written: they must not be written.
int journal_seal(struct journal *journal);

// It is written, or (an errno value) can not be.
void journal_written(struct journal *journal, int sys_errno);

// All points up to this one are done.
uint64_t journal_done(const struct journal *journal);

// At this moment.
void journal_get_stats(const struct journal *journal, struct journal_stats *ret);

// What must be true whatever happened; stops the process when it is not. For tests.
void journal_check(const struct journal *journal);

#endif
