// SPDX-License-Identifier: MIT
// Passphrases: from a file that only its owner can read, or typed where nobody sees it. They are in memory for secrets.
#ifndef HVFS_CLI_PASSPHRASE_H
#define HVFS_CLI_PASSPHRASE_H

#include "crypto/volume_key_file.h"

// The first line of the file ${path}. Returns 0, or -1 and a sentence. Given back with passphrase_wipe().
int passphrase_read(const char *path, struct passphrase *ret, char *error, size_t error_size);

// Asked for on the terminal, without echo, as that of ${file}; ${twice}: it is a new one, and typing errors matter.
// Returns 0, or -1 and the end of a sentence.
int passphrase_ask(const char *file, bool twice, struct passphrase *ret, char *error, size_t error_size);

// Does nothing when there is none.
void passphrase_wipe(struct passphrase *passphrase);

#endif
