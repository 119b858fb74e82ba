// SPDX-License-Identifier: MIT
// Files with secrets: only their owner can get at them, a new one never replaces what is there, and what was written is
// on stable storage. Errors are sentences that name the file and say what would be right.
#ifndef HVFS_CRYPTO_SECRET_FILE_H
#define HVFS_CRYPTO_SECRET_FILE_H

#include <stddef.h>
#include <sys/types.h>

// What kind of file it should be, for the errors.
struct secret_kind {
	const char *noun;  // "key"
	const char *maker; // the command that makes one, or NULL
};

// Write the ${size} bytes to the new file ${path}, mode 0600. Returns 0, or -1 and a sentence; then there is no new
// file.
int secret_file_create(const char *path, const void *bytes, size_t size, char *error, size_t error_size);

// The same, in place of the file that is there: whenever it ends, there is the old one or the new one, whole.
int secret_file_replace(const char *path, const void *bytes, size_t size, char *error, size_t error_size);

// Read the file, which has to belong to this user, to be closed to its group and to others, and to have at most ${room}
// bytes, to ${bytes}. Returns how many, or -1 and a sentence. The caller wipes.
ssize_t secret_file_read(const char *path, const struct secret_kind *kind, void *bytes, size_t room, char *error,
			 size_t error_size);

#endif
