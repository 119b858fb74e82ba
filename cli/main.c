// SPDX-License-Identifier: MIT
// hvfs: a table of subcommands.
#include "cli/command.h"

#include "cli/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef HVFS_VERSION
#define HVFS_VERSION "unknown"
#endif

const struct command *const commands[] = {
	&command_create, &command_serve, &command_status, &command_attach, &command_detach,
	&command_flush,  &command_set,   &command_cache,  &command_umount, &command_abort,  &command_stop,
	&command_acl,    &command_allow, &command_deny,   &command_keygen, &command_volume_key,
	&command_demo,  &command_help,  NULL,
};

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; commands[i] != NULL; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

void
command_print_help(const struct command *command)
{
	printf("usage: hvfs %s\n\n%s%s", command->usage, command->help, command->more != NULL ? command->more : "");
}

static void
complain(const struct command *command, const char *format, va_list list)
{
	fprintf(stderr, "hvfs %s: ", command->name);
	vfprintf(stderr, format, list);
	fputc('\n', stderr);
}

int
command_fail(const struct command *command, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	complain(command, format, list);
	va_end(list);
	return EXIT_FAILED;
}

int
command_usage(const struct command *command, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	complain(command, format, list);
	va_end(list);
	fprintf(stderr, "'hvfs help %s' says more.\n", command->name);
	return EXIT_USAGE;
}

// ---- hvfs help ----

static void
print_overview(FILE *file)
{
	fprintf(file, "usage: hvfs COMMAND [ARGUMENTS]\n\n"
		      "One raw volume, shared by several hosts, for reading and writing, at the same time.\n\n");
	for (size_t i = 0; commands[i] != NULL; i++)
		fprintf(file, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	fprintf(file, "\n'hvfs help COMMAND' says more; 'hvfs --version' prints the version.\n");
}

static int
help_run(int argc, char **argv)
{
	if (argc > 1)
		return command_usage(&command_help, "'%s': one command at a time", argv[1]);
	if (argc == 0) {
		print_overview(stdout);
		return EXIT_DONE;
	}
	const struct command *command = command_find(argv[0]);
	if (command == NULL)
		return command_usage(&command_help, "'%s' is no command; 'hvfs help' lists them", argv[0]);
	command_print_help(command);
	return EXIT_DONE;
}

const struct command command_help = {
	.name = "help",
	.usage = "help [COMMAND]",
	.summary = "say what a command does",
	.help = "Without COMMAND: list the commands.\n",
	.run = help_run,
};

// Standard output that can not be written (a full disk, a closed pipe) is a failure like any other.
static int
finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "hvfs: standard output: %s\n", strerror(errno));
	return status == EXIT_DONE ? EXIT_FAILED : status;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		print_overview(stderr);
		return EXIT_USAGE;
	}
	const char *word = argv[1];
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		printf("hvfs %s\n", HVFS_VERSION);
		return finish(EXIT_DONE);
	}
	if (args_is_help(word)) {
		print_overview(stdout);
		return finish(EXIT_DONE);
	}
	const struct command *command = command_find(word);
	if (command == NULL) {
		fprintf(stderr, "hvfs: '%s' is no command; 'hvfs help' lists them\n", word);
		return EXIT_USAGE;
	}
	if (argc > 2 && args_is_help(argv[2])) {
		command_print_help(command);
		return finish(EXIT_DONE);
	}
	return finish(command->run(argc - 2, argv + 2));
}
