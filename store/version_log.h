// SPDX-License-Identifier: MIT
// Which version of a block was written to a storage, and synced: a log in two files beside it, so that a root which is
// started after a crash knows what its storage has (protocol.md F6). Here is what the bytes mean; version_file.h has the
// files.
#ifndef HVFS_STORE_VERSION_LOG_H
#define HVFS_STORE_VERSION_LOG_H

#include "core/types.h"

#include <sodium.h>

enum {
	VERSION_LOG_FILES = 2,
	VERSION_LOG_FILE_SIZE_MAX = 32 << 20, // at the first marker beyond this the other file is begun anew
	VERSION_LOG_KEY_SIZE = 16,
	VERSION_LOG_HEADER_SIZE = 64,
	VERSION_LOG_RECORD_SIZE = 16,
	VERSION_LOG_MARKER_SIZE = 48,
};

// What a log says of a block: the content of version ${low}, or one that came later, is on stable storage; none newer than
// ${high} was ever promised to be. They differ when nobody knows whether the last sync was done.
struct stored_version {
	uint64_t block;
	version_t low, high;
};

// What a log says. ${list} is ascending by block; of all other blocks nothing was promised since the log began
// (${complete}), or nothing is known. Then it began with a root of ${epoch}: those before have left in order, with all that
// they had on stable storage.
struct stored_versions {
	struct stored_version *list;
	size_t count;
	bool complete;
	uint32_t epoch;
	const char *why; // it is not complete; static
};

// The writing end: what the next bytes depend on.
struct version_log {
	uint8_t key[VERSION_LOG_KEY_SIZE]; // of the file
	uint64_t generation;               // of the file
	uint64_t number;                   // of the next marker
	uint64_t boot;                     // of the system that runs
	uint32_t epoch;
	crypto_generichash_state batch; // records since the last marker
};

// Where a log goes on.
struct version_log_end {
	int file; // its number
	uint64_t offset;
};

// A new log: ${log} and the bytes its first file begins with. It is complete unless ${follows} something that is lost.
void version_log_begin(struct version_log *log, uint64_t boot, uint32_t epoch, bool follows,
		       uint8_t ret[VERSION_LOG_HEADER_SIZE]);

// It goes on in another file: the bytes that one begins with. Right behind a marker.
void version_log_turn(struct version_log *log, uint8_t ret[VERSION_LOG_HEADER_SIZE]);

// Version ${version} of ${block} has been written.
void version_log_add(struct version_log *log, uint64_t block, version_t version, uint8_t ret[VERSION_LOG_RECORD_SIZE]);

// A sync of what was added begins, after the one of the last marker has ended well.
void version_log_mark(struct version_log *log, uint8_t ret[VERSION_LOG_MARKER_SIZE]);

// Bytes of one file.
struct version_log_bytes {
	const uint8_t *bytes;
	size_t size;
};

// Read a log that was left uncleanly. ${boot} is of the system that runs now: when it was another one that wrote the last
// marker, its sync may not have been done. ${epoch} is the least that the last writer had: a log that does not know of him
// is worth nothing. ${ret} is to be given to version_log_free. Returns true when the log can go on with ${log} (its epoch is
// the caller's to change) at ${end}, where whatever follows is to be cut off.
bool version_log_read(const struct version_log_bytes in[VERSION_LOG_FILES], uint64_t boot, uint32_t epoch,
		      struct stored_versions *ret, struct version_log *log, struct version_log_end *end);
void version_log_free(struct stored_versions *versions);

#endif
