// SPDX-License-Identifier: MIT
// A process that keeps the rights with which a node was started, for the little that is to be done with them at its end:
// take its mount away, remove its sockets. What that is it learns before the node hears anybody; from then on it does that,
// or nothing. So the node can give up every right, those to run other programs too.
#ifndef HVFS_CLI_STEWARD_H
#define HVFS_CLI_STEWARD_H

#include <stddef.h>
#include <stdint.h>

struct steward {
	int fd; // -1: there is none
	int pid;
};

// Start it: before there are threads, and before the process has secrets, which it would have, too. Returns 0, or -1 and a
// sentence.
int steward_start(struct steward *steward, char *error, size_t error_size);

// What it will have to do: the mount on ${path}, an absolute path, as it is now; the socket at ${path}.
void steward_set_mount(struct steward *steward, const char *path);
void steward_add_socket(struct steward *steward, const char *path);

// From now on it learns nothing more.
void steward_seal(struct steward *steward);

// Have the mount taken away, if it is still there; returns when it is gone, or can not be.
void steward_unmount(struct steward *steward);

// The node has left in order: have its sockets removed, and the steward end. After any other end of this process it leaves
// everything as it is: a dead mount gives errors to those who use it, an empty directory would swallow what they write.
void steward_end(struct steward *steward);

#endif
