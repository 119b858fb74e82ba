// SPDX-License-Identifier: MIT
// What the root of a sealed volume knows of the content of its storage: as which version each block was sealed, which
// version the protocol gave it, and which content of that version it is. So a write of former times is told from a new one
// (S35), also after a restart, as is another of the same version; and a cookie is burnt for what is really there (S34).
//
// It is a sparse file beside the storage, ${metadata}.seals: a page that says whose it is, then 32 bytes for each block (then, of
// a storage that has ciphertext, the verifiers: node/seal_slots.h). What
// is in it is on stable storage: what was written since the last sync of the storage is in memory, and goes to the file
// with the next, before anybody hears that this has ended. So a crash forgets only what nobody was promised.
#ifndef HVFS_NODE_SEALED_ROOT_H
#define HVFS_NODE_SEALED_ROOT_H

#include "core/types.h"
#include "crypto/seal.h"
#include "crypto/volume_key.h"

struct sealed_entry {
	version_t sealed;   // as which version; 0: nothing is known
	version_t protocol; // which version that content has in messages: not below
	uint8_t digest[SEAL_DIGEST_SIZE]; // which content (seal_digest); all zeros: that is not known yet
};

struct sealed_root;

// How the storage has its blocks. The file says it from its beginning, as the number of its format; 1 and 2 had no digests.
enum rest_form {
	REST_UNKNOWN = 0, // there is no file yet
	REST_PLAIN = 3,   // as a raw image
	REST_SEALED = 4,  // as ciphertext, with verifiers in the file (node/rest.h)
};

// As what ${spec} was begun; REST_UNKNOWN also where that can not be found: sealed_root_open tells why.
enum rest_form sealed_root_form(const char *spec);

// Of the storage ${spec}, of ${blocks}, which has them as ${form}, sealed with ${key}. The file is made if there is none, but
// not if it is ${read_only}; one that is another volume's, has another form, or is damaged, is an error. Returns NULL and a
// sentence.
struct sealed_root *sealed_root_open(const char *spec, uint64_t blocks, const struct volume_key *key, enum rest_form form,
				     bool read_only, char *error, size_t error_size);

// The file, and from where on it is somebody else's. It is opened once more for that: the system tells of a write that it could
// not do to one sync of each open file, and each part has to hear of it. It stays this one's to close.
int sealed_root_file(const struct sealed_root *root, uint64_t *ret_end);

// What is in memory only is lost. NULL does nothing.
void sealed_root_close(struct sealed_root *root);

// ---- On the loop ----

// This content is being written to the storage, in place of what was there; of a block one at a time.
void sealed_root_wrote(struct sealed_root *root, uint64_t block, const struct sealed_entry *entry);

// The write of ${count} blocks has ended well: a sync that begins from now on covers it.
void sealed_root_stored(struct sealed_root *root, uint64_t block, uint32_t count);

// How many blocks are in memory only.
size_t sealed_root_unsaved(const struct sealed_root *root);

// How often the file was written. What was read from it (sealed_root_read) before the last time is not to be used: what it had
// from memory is not there any more.
uint64_t sealed_root_saves(const struct sealed_root *root);

// What is known of ${block}: ${filed} is what the file has.
struct sealed_entry sealed_root_find(const struct sealed_root *root, uint64_t block, const struct sealed_entry *filed);

// A sync of the storage begins: what has been written until now is put apart. Only when nothing is.
void sealed_root_begin(struct sealed_root *root);

// That sync has ended, and what was put apart is in the file (or ${ok} is false: it is in memory as before).
void sealed_root_end(struct sealed_root *root, bool ok);

// All that was written is on stable storage, and nothing is under way: the file gets it. Blocks. Returns 0 or an errno value.
int sealed_root_finish(struct sealed_root *root);

// ---- On any thread ----

// What the file says of ${count} blocks from ${block} on. Returns 0 or an errno value.
int sealed_root_read(const struct sealed_root *root, uint64_t block, uint32_t count, struct sealed_entry *ret);

// Write what was put apart to the file, durably. Returns 0 or an errno value; after that it is to be written once more.
int sealed_root_save(struct sealed_root *root);

#endif
