// SPDX-License-Identifier: MIT
// Going to the background, in one piece: the first process waits until the second is ready, or says why it is not.
#ifndef HVFS_CLI_DAEMON_H
#define HVFS_CLI_DAEMON_H

#include <stddef.h>
#include <stdint.h>

struct daemon {
	int report_fd; // of the background process, until it has reported; -1: none
};

// Fork. In the background process, returns 0; it must call daemon_ready or daemon_failed, or end. In the first process,
// returns 1 when the other has said it is ready (and lives on), or -1 with its reason in ${error} (and it has ended, so
// that nothing is left behind). After ${patience_ms} (0: never) it is told to end, and ${late} is the reason. Call it before
// anything is opened or any thread is started.
int daemon_start(struct daemon *daemon, uint32_t patience_ms, const char *late, char *error, size_t error_size);

// Release the first process; cut the ties to its terminal: a session of its own, standard input from /dev/null, output
// to ${log_file} or, when that is empty, to /dev/null. ${directory}: where to live on, or NULL to stay.
void daemon_ready(struct daemon *daemon, const char *log_file, const char *directory);

// Give the first process the reason. The caller then cleans up and ends.
void daemon_failed(struct daemon *daemon, const char *reason);

// Append standard output and error to ${path}. Returns 0, or -1 and a sentence.
int daemon_log_to(const char *path, char *error, size_t error_size);

#endif
