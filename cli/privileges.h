// SPDX-License-Identifier: MIT
// Giving up root for good.
#ifndef HVFS_CLI_PRIVILEGES_H
#define HVFS_CLI_PRIVILEGES_H

#include <stddef.h>
#include <sys/types.h>

struct user {
	char name[256]; // "": none
	uid_t uid;
	gid_t gid;
};

// Find the user of ${text}, USER or USER:GROUP, names or numbers. Returns 0, or -1 and what is wrong.
int privileges_find(const char *text, struct user *ret, char *error, size_t error_size);

// Become ${user}, with its groups, in all threads: no way leads back, no capability is left. Returns 0, or -1 and a
// sentence; then some of it may have been given up already, and the process should end.
int privileges_give_up(const struct user *user, char *error, size_t error_size);

// No core of this process, and no debugger of its own user: it has keys.
void privileges_hide_memory(void);

#endif
