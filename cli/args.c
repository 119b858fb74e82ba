// SPDX-License-Identifier: MIT
#include "cli/args.h"

#include <stdio.h>
#include <string.h>

void
args_init(struct args *args, int argc, char **argv)
{
	*args = (struct args){ .argc = argc, .argv = argv };
}

bool
args_is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

// The flag that ${word} names, before a "=" if there is one: its index, or -1.
static int
find_flag(const struct arg_flag *flags, const char *word)
{
	size_t size = strcspn(word + 2, "=");
	for (int i = 0; flags[i].name != NULL; i++) {
		if (word[1] == '-' && strlen(flags[i].name) == size && memcmp(flags[i].name, word + 2, size) == 0)
			return i;
		if (word[1] != '-' && word[1] == flags[i].letter && word[2] == '\0')
			return i;
	}
	return -1;
}

static int
fail(struct args *args, const char *word, const char *what)
{
	snprintf(args->error, sizeof args->error, "%.200s: %s", word, what);
	return ARGS_ERROR;
}

int
args_next(struct args *args, const struct arg_flag *flags, const char **ret_value)
{
	if (args->index == args->argc)
		return ARGS_END;
	const char *word = args->argv[args->index++];
	if (!args->flags_over && strcmp(word, "--") == 0) {
		args->flags_over = true;
		return args_next(args, flags, ret_value);
	}
	if (args->flags_over || word[0] != '-' || word[1] == '\0') {
		*ret_value = word;
		return ARGS_WORD;
	}
	int flag = find_flag(flags, word);
	if (flag < 0)
		return fail(args, word, "no such flag");
	const char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
	if (equals != NULL) {
		*ret_value = equals + 1;
	} else if (!flags[flag].has_value) {
		*ret_value = NULL;
	} else if (args->index == args->argc) {
		return fail(args, word, "its value is missing");
	} else {
		*ret_value = args->argv[args->index++];
	}
	return flag;
}
