// SPDX-License-Identifier: MIT
// Words of a command line: --flag, --flag VALUE, --flag=VALUE, -x VALUE, and what is no flag. Flags are never
// abbreviated; after "--" nothing is a flag.
#ifndef HVFS_CLI_ARGS_H
#define HVFS_CLI_ARGS_H

#include <stdbool.h>
#include <stddef.h>

struct arg_flag {
	const char *name; // without "--"
	char letter;      // 0: none
	bool has_value;
};

struct args {
	int argc;
	char **argv;
	int index;
	bool flags_over;
	char error[512];
};

enum { ARGS_WORD = -1, ARGS_END = -2, ARGS_ERROR = -3 };

void args_init(struct args *args, int argc, char **argv);

// The next word. Returns the index of its flag in ${flags} (ended by a NULL name), with its value in *ret_value (NULL
// for a flag without one); ARGS_WORD with the word in *ret_value; ARGS_END; or ARGS_ERROR with a sentence in args->error.
// A flag without a value may still be given one with "=" (yes or no): then that is in *ret_value.
int args_next(struct args *args, const struct arg_flag *flags, const char **ret_value);

// True for --help and -h.
bool args_is_help(const char *word);

#endif
