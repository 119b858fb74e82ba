// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "crypto/identity.h"
#include "store/place.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct keygen {
	const char *path;
	bool show;
	bool as_json;
};

static int
parse_args(struct keygen *keygen, int argc, char **argv)
{
	enum { FLAG_SHOW, FLAG_JSON };
	static const struct arg_flag flags[] = { { "show", 0, true }, { "json", 0, false }, { .name = NULL } };
	struct args args;
	const char *value;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_keygen, "%s", args.error);
		if (flag == FLAG_JSON) {
			keygen->as_json = true;
			continue;
		}
		if (keygen->path != NULL)
			return command_usage(&command_keygen, "%s: a second FILE; one at a time", value);
		keygen->path = value;
		keygen->show = flag == FLAG_SHOW;
	}
	return EXIT_DONE;
}

// Where nobody has said: beside what else hvfs keeps.
static int
default_path(char path[PATH_MAX])
{
	char directory[PATH_MAX];
	int sys_errno = place_find_state_directory(directory);
	if (sys_errno != 0)
		return command_fail(&command_keygen, "no state directory is known (%s): name the FILE", strerror(sys_errno));
	if (snprintf(path, PATH_MAX, "%s/node.key", directory) >= PATH_MAX)
		return command_fail(&command_keygen, "the path of the state directory is too long: name the FILE");
	sys_errno = place_make_directories(path);
	if (sys_errno != 0)
		return command_fail(&command_keygen, "%s: %s", directory, strerror(sys_errno));
	return EXIT_DONE;
}

static int
find_fingerprint(const struct keygen *keygen, struct fingerprint *ret, char *error, size_t error_size)
{
	if (!keygen->show)
		return identity_create(keygen->path, ret, error, error_size);
	struct identity *identity = identity_load(keygen->path, error, error_size);
	if (identity == NULL)
		return -1;
	*ret = *identity_fingerprint(identity);
	identity_destroy(identity);
	return 0;
}

static void
print_json(const char *path, const char *fingerprint)
{
	json_t *file = json_string(path);
	json_t *object = json_pack("{soss}", "file", file != NULL ? file : json_string("?"), "fingerprint", fingerprint);
	char *text = json_dumps(object, JSON_COMPACT);
	puts(text != NULL ? text : "{}");
	free(text);
	json_decref(object);
}

static int
keygen_run(int argc, char **argv)
{
	struct keygen keygen = { .path = NULL };
	struct fingerprint fingerprint;
	char error[PATH_MAX + 512], text[FINGERPRINT_TEXT_SIZE], path[PATH_MAX];
	int status = parse_args(&keygen, argc, argv);

	if (status == EXIT_DONE && keygen.path == NULL) {
		status = default_path(path);
		keygen.path = path;
	}
	if (status != EXIT_DONE)
		return status;
	if (find_fingerprint(&keygen, &fingerprint, error, sizeof error) != 0)
		return command_fail(&command_keygen, "%s", error);
	fingerprint_print(&fingerprint, text);
	if (keygen.as_json)
		print_json(keygen.path, text);
	else
		puts(text);
	return EXIT_DONE;
}

const struct command command_keygen = {
	.name = "keygen",
	.usage = "keygen [--json] [FILE | --show FILE]",
	.summary = "make a node's key, and print its fingerprint",
	.help = "A node with a key (serve --key FILE) is known to others by the fingerprint of it, and to nobody by anything\n"
		"else: who can read FILE is the node. It is made with mode 0600, and never overwritten. Without FILE it is\n"
		"node.key in $XDG_STATE_HOME/hvfs or ~/.local/state/hvfs, /var/lib/hvfs for root.\n\n"
		"  --show FILE  print the fingerprint of a key that is there\n"
		"  --json       one object: file, fingerprint\n",
	.run = keygen_run,
};
