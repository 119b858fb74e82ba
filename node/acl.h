// SPDX-License-Identifier: MIT
// Who may do what with which volume: lines of text, which the administrator writes and the node changes when it is told to.
//
//     PEER VOLUME RIGHT [label]      # comment
//
// PEER is sha256:HEX or uid:N; VOLUME a name, or * for those that are not named; RIGHT none, proxy, read or read-write.
#ifndef HVFS_NODE_ACL_H
#define HVFS_NODE_ACL_H

#include "core/limits.h"
#include "core/types.h"
#include "node/peer.h"

enum {
	ACL_ENTRIES_MAX = 4096,
	ACL_SIZE_MAX = 1 << 20, // bytes of its text
	ACL_LABEL_SIZE = 64,    // bytes, without the NUL
};

struct acl;

struct acl_entry {
	struct peer peer;
	char volume[LIMIT_NAME_SIZE + 1]; // or "*"
	enum right right;
	char label[ACL_LABEL_SIZE + 1];
};

struct acl *acl_create(void);
void acl_destroy(struct acl *acl);

// Of ${text}. Returns NULL and a sentence that names line and value, and what would be right.
struct acl *acl_parse(const char *text, size_t size, char *error, size_t error_size);

// The text, the caller's to free; lines that were not changed are as they were.
char *acl_print(const struct acl *acl);

// What ${peer} may do with ${volume}. Who is not listed: everything, if it is this user or root, or if nobody can know who it is
// (plain TCP is served only when that was asked for); else nothing.
enum right acl_right(const struct acl *acl, const struct peer *peer, const char *volume);

// May ${peer} do anything at all?
bool acl_knows(const struct acl *acl, const struct peer *peer);

// The label that ${peer} has on some line; "": none. Valid until the next change.
const char *acl_label(const struct acl *acl, const struct peer *peer);

// The entries, ${index} from 0, in the order of the text; NULL when there are no more. Valid until the next change.
const struct acl_entry *acl_get(const struct acl *acl, size_t index);

// Add a line, or change the one of that peer and volume; an empty label leaves the one that is there. Returns 0, or -1 and a
// sentence.
int acl_set(struct acl *acl, const struct acl_entry *entry, char *error, size_t error_size);

// Remove the line of that peer and volume. False: there is none.
bool acl_remove(struct acl *acl, const struct peer *peer, const char *volume);

// May that stand in a line? Returns 0, or -1 and a sentence.
int acl_check_volume(const char *volume, char *error, size_t error_size);
int acl_check_label(const char *label, char *error, size_t error_size);

// The right of that name. Returns 0, or -1 and a sentence.
int right_parse(const char *text, enum right *ret, char *error, size_t error_size);
const char *right_name(enum right right);

#endif
