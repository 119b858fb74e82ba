// SPDX-License-Identifier: MIT
// Where things are: the default place of the control socket, and paths that survive a change of directory.
#ifndef HVFS_CLI_PATHS_H
#define HVFS_CLI_PATHS_H

#include <stdbool.h>
#include <stddef.h>

enum { PATHS_SOCKET_SIZE = 108 }; // bytes of a unix socket's path, the NUL included

// The directory of control sockets that were not named: /run/hvfs for root, else $XDG_RUNTIME_DIR/hvfs, else
// /tmp/hvfs-UID. Returns 0, or -1 and a sentence when it does not fit ${size}.
int paths_control_directory(char *path, size_t size, char *error, size_t error_size);

// Make that directory, for this user alone (root's may be searched by everybody). Returns 0, or -1 and a sentence.
int paths_make_control_directory(const char *path, char *error, size_t error_size);

// The control socket of node ${name} (in the default place). Returns 0, or -1 and a sentence.
int paths_control_socket(const char *name, char path[PATHS_SOCKET_SIZE], char *error, size_t error_size);

// Make ${path} absolute in place, if it fits ${size}. Returns 0, or -1 when it does not (${path} is unchanged).
int paths_make_absolute(char *path, size_t size);

// Does ${store} begin as a kind of storage that is not a path, and that this version does not have? Its name is kept
// free: a file of such a name is written ./NAME.
bool paths_is_reserved_store(const char *store);

#endif
