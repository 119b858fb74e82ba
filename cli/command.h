// SPDX-License-Identifier: MIT
// What every subcommand is, and how it complains. A command returns the exit status of the process: 0, 1 (failed) or
// 2 (used wrongly).
#ifndef HVFS_CLI_COMMAND_H
#define HVFS_CLI_COMMAND_H

#include <stddef.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command {
	const char *name;
	const char *usage;   // the line after "hvfs "
	const char *summary; // one line for `hvfs help`
	const char *help;    // paragraphs for `hvfs help NAME`
	const char *more;    // and the rest of them, where C allows no longer string; or NULL
	int (*run)(int argc, char **argv); // argv[0] is the first word after the command's name
};

extern const struct command command_create, command_serve, command_status, command_attach, command_detach,
	command_flush, command_set, command_cache, command_umount, command_abort, command_stop, command_demo, command_keygen,
	command_acl, command_allow, command_deny, command_volume_key, command_help;

// All commands, ended by NULL.
extern const struct command *const commands[];

// The command of this name, or NULL.
const struct command *command_find(const char *name);

// Print usage and help of ${command} on standard output.
void command_print_help(const struct command *command);

// Say what went wrong on standard error, after "hvfs NAME: ", and return EXIT_FAILED or EXIT_USAGE. command_usage adds
// where the help is.
int command_fail(const struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
int command_usage(const struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
