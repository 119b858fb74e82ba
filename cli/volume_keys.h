// SPDX-License-Identifier: MIT
// The keys of sealed volumes that 'hvfs serve' is given. In the process that uses them: locked memory is not inherited.
#ifndef HVFS_CLI_VOLUME_KEYS_H
#define HVFS_CLI_VOLUME_KEYS_H

#include "cli/config.h"

// Read and open the key files of ${config}, into the volumes of its node; a passphrase that is needed and not in a file is
// asked for on the terminal. Returns 0, or -1 and a sentence. Given back by volume_keys_close in any case.
int volume_keys_open(struct config *config, char *error, size_t error_size);
void volume_keys_close(struct config *config);

#endif
