// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/control.h"

#include <stdio.h>
#include <string.h>

static const char *
string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "-";
}

static int
set_values(struct control *control, json_t *values)
{
	size_t index;
	const json_t *change;
	if (control_ask(control, json_pack("{sssO}", "command", "set", "values", values)) != 0)
		return -1;
	json_t *answer = control_receive(control);
	if (answer == NULL)
		return -1;
	json_array_foreach(json_object_get(answer, "changes"), index, change)
		printf("%s: %s -> %s\n", string(change, "key"), string(change, "was"), string(change, "is"));
	json_decref(answer);
	return 0;
}

// KEY=VALUE into ${values}. Returns 0, or -1 when it is none.
static int
add_value(json_t *values, const char *word)
{
	const char *equals = strchr(word, '=');
	if (equals == NULL || equals == word)
		return -1;
	return json_object_setn_new(values, word, (size_t)(equals - word), json_string(equals + 1));
}

static int
run(const char *path, json_t *values)
{
	struct control control;
	int status = EXIT_DONE;
	if (control_open(&control, path) != 0 || set_values(&control, values) != 0)
		status = command_fail(&command_set, "%s", control.error);
	control_close(&control);
	return status;
}

static int
read_words(int argc, char **argv, const char **ret_path, json_t *values)
{
	static const struct arg_flag flags[] = { { "control", 0, true }, { .name = NULL } };
	const char *value;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_set, "%s", args.error);
		if (flag == 0)
			*ret_path = value;
		else if (add_value(values, value) != 0)
			return command_usage(&command_set, "%s: right would be KEY=VALUE", value);
	}
	if (json_object_size(values) == 0)
		return command_usage(&command_set, "nothing to set: KEY=VALUE is missing");
	return EXIT_DONE;
}

static int
set_run(int argc, char **argv)
{
	const char *path = NULL;
	json_t *values = json_object();
	int status = read_words(argc, argv, &path, values);
	if (status == EXIT_DONE)
		status = run(path, values);
	json_decref(values);
	return status;
}

const struct command command_set = {
	.name = "set",
	.usage = "set KEY=VALUE... [--control PATH]",
	.summary = "change settings of a running node",
	.help = "All of them are changed, or none. Prints what was and what is. The keys, as in 'hvfs help serve':\n\n"
		"  write-mode=async|semi-sync|sync\n"
		"  durability=root|parent|local\n"
		"  on-disconnect=wait|error|error:DURATION\n"
		"  push=SIZE\n"
		"  log-level=error|warn|info|debug\n\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = set_run,
};
