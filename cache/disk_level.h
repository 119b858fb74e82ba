// SPDX-License-Identifier: MIT
// The bottom of a stack on a disk: clean copies only. It is inclusive: a block that comes to memory is written here at
// once, as far as writes are free, and stays here when it is used again; so what falls out of memory is here already,
// and a process that is killed loses little of its cache. What is here is known by its digest, in memory; the bytes are
// checked against it when they are read. docs/cache.md has the whole story.
//
// Blocks of an earlier run are kept as unknown: nobody is told when they go. The core takes them over one by one, when
// its parent has confirmed their digest (protocol.md T5).
#ifndef HVFS_CACHE_DISK_LEVEL_H
#define HVFS_CACHE_DISK_LEVEL_H

#include "cache/level_config.h"
#include "cache/medium.h"
#include "cache/sealed.h"
#include "core/buf.h"
#include "core/limits.h"
#include "core/types.h"

struct disk_level;

// What takes its time: blocks of sealed volumes are sealed, checked and opened.
struct disk_work {
	void (*run)(struct disk_work *work);  // on any thread, one after the other
	void (*done)(struct disk_work *work); // then where the level is used
};

struct disk_level_listener {
	void *arg;
	// Have ${work} run on a thread, then done; neither from within. NULL: the level does both itself, at once.
	void (*compute)(void *arg, struct disk_work *work);
	// A known block had to make room: it is not here any more. Only from within disk_level_put and disk_level_step.
	void (*replaced)(void *arg, block_key key);
	// The clean copy in memory of a block that may be written now, borrowed; NULL: there is none.
	struct buf *(*clean_copy)(void *arg, block_key key);
	// There is something for disk_level_next_loaded or disk_level_step.
	void (*wake)(void *arg);
	// The medium failed; nothing is kept here from now on. Said once.
	void (*failed)(void *arg, bool writing, int sys_errno);
};

struct disk_level_stats {
	struct level_config config; // as it is
	uint32_t slot_size;
	uint64_t entries, used;   // blocks here; bytes of their data
	uint64_t index;           // bytes of memory
	uint64_t unknown;         // entries of an earlier run that were not asked for yet
	uint64_t found;           // entries when it was opened
	uint64_t confirmed;       // of these, taken over since
	uint64_t written, passed; // blocks; blocks that were not written as too much was under way
	uint64_t refused;         // blocks that were not written as they have not proved themselves
	uint64_t loaded;          // blocks
	uint64_t damaged;         // that were not what they should be when they were read
	uint64_t replaced;
	uint64_t waiting; // blocks in memory that wait to be written
	uint64_t errors;  // reads and writes that failed
	int sys_errno; // why nothing is kept here any more; 0: all is well
};

// ${slot_size}, here and below, is the size of the largest blocks that there is room for; and SEALED_TAIL_SIZE more if
// there are to be blocks of sealed volumes.

// The least config.size that there can be.
uint64_t disk_level_size_min(uint32_t slot_size);

// Bytes of memory that the index of such a level takes when all of it is in use.
uint64_t disk_level_index(const struct level_config *config, uint32_t slot_size);

// Take over ${medium}, whose format is made anew if it is empty, or ours and of another shape, or (${anew}) ours: then
// *${ret_emptied} is true if something was on it. ${config} has a hash; its size is what the level takes
// on the medium, all included. Returns NULL and a sentence without the medium's name: what is
// wrong, what to do.
struct disk_level *disk_level_open(const struct medium *medium, const struct level_config *config, uint32_t slot_size,
				   bool anew, bool *ret_emptied, char *error, size_t error_size);

// The same in steps, as the records of a large level take their time. The first one refuses what is to be refused. Then,
// until none are left, disk_level_open_more reads ${reads} times some of the records, of 32768 blocks, or returns -1 and a
// sentence. Nothing else may be done with it before.
struct disk_level *disk_level_begin_open(const struct medium *medium, const struct level_config *config,
					 uint32_t slot_size, bool anew, bool *ret_emptied, char *error, size_t error_size);
int disk_level_open_more(struct disk_level *level, uint32_t reads, char *error, size_t error_size);
uint64_t disk_level_open_left(const struct disk_level *level, uint64_t *ret_total);

// Nothing may be under way, or (after disk_level_abandon) ever end.
void disk_level_close(struct disk_level *level);

// Before anything else is called.
void disk_level_listen(struct disk_level *level, const struct disk_level_listener *listener);

// Another policy from now on. What is here stays.
void disk_level_set_policy(struct disk_level *level, enum policy policy);

// What ${before} has counted counts as that of ${level}, and is counted from 0 there.
void disk_level_take_counters(struct disk_level *level, struct disk_level *before);

// While it is filled from another one, its records are written without delay: who dies soon after has what has come. And
// its superblock says so: who finds it half filled knows that it may be removed.
void disk_level_set_filling(struct disk_level *level, bool filling);

// The blocks of volume ${index} of this node are those of ${name}, sealed with the keys of ${form}, which outlives the
// level, or (NULL) not sealed. Blocks of other volumes are not kept; nor those of a sealed one that have no proof.
void disk_level_set_volume(struct disk_level *level, uint32_t index, const char *name, const struct sealed_form *form);

// How a block comes here.
enum disk_why {
	DISK_BROUGHT,   // to memory, clean, or it became clean there
	DISK_USED,      // it falls out of memory, where it was used again
	DISK_NOT_USED,  // it falls out of memory, where it was not
};

// ${key}, which the core has or is about to have, has these bytes. True: it is here, or on its way. False: it is not.
bool disk_level_put(struct disk_level *level, block_key key, struct buf *buf, enum disk_why why);

// ${key} has no copy any more, or another one.
void disk_level_forget(struct disk_level *level, block_key key);

// Whether the core's copy of ${key} is here. Changes nothing.
bool disk_level_has(struct disk_level *level, block_key key);

// The same, and that is a use.
bool disk_level_use(struct disk_level *level, block_key key);

// The digest (sealed_digest) of ${key}, ${size} bytes, known or not; false: it is not here.
bool disk_level_digest(struct disk_level *level, block_key key, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE]);

// The core takes over what is here of ${key}, a block of ${size} bytes, whose digest it was told. False: there is nothing,
// or it has come since.
bool disk_level_adopt(struct disk_level *level, block_key key, size_t size);

// The bytes of ${key}, if they need not be read: borrowed. Else NULL.
struct buf *disk_level_buffered(struct disk_level *level, block_key key);

// Read ${key}, which is here, known and not buffered, into a buffer of ${pool}, for the core; once.
void disk_level_load(struct disk_level *level, block_key key, struct buf_pool *pool);

// Read ${key}, which is here and not busy, into ${buf}, with its count, for whoever empties the level.
void disk_level_fetch(struct disk_level *level, block_key key, struct buf *buf);

enum disk_loaded {
	DISK_LOADED_NOTHING, // no read has ended
	DISK_LOADED,         // its bytes are right
	DISK_LOADED_STALE,   // it was forgotten meanwhile
	DISK_LOADED_FAILED,  // the block is not here any more, as it can not be read or was not what it should be
};

struct disk_load {
	block_key key;
	struct buf *buf; // if DISK_LOADED: the bytes, with a count
	bool asked;      // the core waits for it
	bool known;      // the core has it, or had it until now
};

// The next read that has ended.
enum disk_loaded disk_level_next_loaded(struct disk_level *level, struct disk_load *ret);

// What is to be done in the background: write what waits for it; empty a level that has failed.
void disk_level_step(struct disk_level *level);

// ---- disk_leave.c: a level that is being emptied, or filled from one ----

// It is to be emptied; nobody puts anything any more. Its records stay as they are on the disk: who opens it again finds
// its blocks there. The listener is woken when something that was under way has ended.
void disk_level_leave(struct disk_level *level);

// It is not, after all.
void disk_level_stay(struct disk_level *level);

struct disk_block {
	block_key key;
	bool known;
	uint32_t size; // of its bytes; 0: zeros
};

// The next block of the level that is to be emptied which is not being read, within ${budget} steps, which are counted
// down. It is to be forgotten or fetched before the next call. False: none was met, or there is none; also while what
// was under way before it was to be emptied still is.
bool disk_level_next(struct disk_level *level, uint32_t *budget, struct disk_block *ret);

// Reads that are under way, or have ended and were not asked for.
uint64_t disk_level_reads(const struct disk_level *level);

// Nothing is left of it here, nor under way.
bool disk_level_is_empty(const struct disk_level *level);

// Whether another block could be written. If not, the listener is woken when it could.
bool disk_level_has_room(struct disk_level *level);

// As disk_level_put, of a block that has proved itself elsewhere. ${known}: the core has it.
bool disk_level_receive(struct disk_level *level, block_key key, struct buf *buf, bool known);

// Is anything under way, also of what the listener computes?
bool disk_level_is_busy(const struct disk_level *level);

// Nothing of what is under way will end any more: the process dies. Nothing is being computed.
void disk_level_abandon(struct disk_level *level);

// What it is, holds, and how it was used since it was opened.
void disk_level_get_stats(const struct disk_level *level, struct disk_level_stats *ret);

// What must be true whatever happened; stops the process when it is not. Looks at every slot: for tests.
void disk_level_check(const struct disk_level *level);

#endif
