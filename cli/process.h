// SPDX-License-Identifier: MIT
// Running other programs.
#ifndef HVFS_CLI_PROCESS_H
#define HVFS_CLI_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

enum process_output {
	PROCESS_SHOW,      // standard output and error are ours
	PROCESS_HIDE,      // they are dropped
	PROCESS_TAKE_LINE, // the first line of standard output is taken, error is ours
};

// Run ${argv} (ended by NULL; the program is searched in $PATH) and wait.
// PROCESS_TAKE_LINE: the line, without its end, in ${line}. Returns its exit status, 128 + the signal that ended it, or -1
// with errno when it could not be started.
int process_run(const char *const argv[], enum process_output output, char *line, size_t line_size);

// True when ${program} is in $PATH.
bool process_exists(const char *program);

// Append the system's own directories (/usr/sbin, …) to $PATH where they are missing: mkfs lives there.
void process_extend_path(void);

#endif
