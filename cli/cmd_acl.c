// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/control.h"

#include <stdio.h>

static const char *
string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "";
}

static void
print_entries(const json_t *answer)
{
	size_t index;
	const json_t *entry, *entries = json_object_get(answer, "entries");
	if (json_is_string(json_object_get(answer, "file")))
		printf("# %s\n", string(answer, "file"));
	else
		printf("# not in a file: it lasts as long as the node runs (serve --acl FILE keeps it)\n");
	json_array_foreach(entries, index, entry) {
		const char *label = string(entry, "label");
		printf("%s %s %s%s%s%s\n", string(entry, "peer"), string(entry, "volume"), string(entry, "right"), label[0] != '\0' ? " " : "",
		       label, json_is_true(json_object_get(entry, "connected")) ? " # connected" : "");
	}
}

static int
show(struct control *control, const char *volume, bool as_json)
{
	if (control_send(control, "acl", volume != NULL ? "volume" : NULL, volume) != 0)
		return -1;
	json_t *answer = control_receive(control);
	if (answer == NULL)
		return -1;
	if (as_json)
		fputs(control->line, stdout);
	else
		print_entries(answer);
	json_decref(answer);
	return 0;
}

static int
acl_run(int argc, char **argv)
{
	enum { FLAG_CONTROL, FLAG_JSON };
	static const struct arg_flag flags[] = { { "control", 0, true }, { "json", 0, false }, { .name = NULL } };
	const char *path = NULL, *volume = NULL, *value;
	bool as_json = false;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_acl, "%s", args.error);
		if (flag == ARGS_WORD && volume != NULL)
			return command_usage(&command_acl, "%s: a second VOLUME; one at a time", value);
		if (flag == FLAG_JSON)
			as_json = true;
		else
			*(flag == ARGS_WORD ? &volume : &path) = value;
	}
	struct control control;
	int status = EXIT_DONE;
	if (control_open(&control, path) != 0 || show(&control, volume, as_json) != 0)
		status = command_fail(&command_acl, "%s", control.error);
	control_close(&control);
	return status;
}

const struct command command_acl = {
	.name = "acl",
	.usage = "acl [VOLUME] [--json] [--control PATH]",
	.summary = "show who may do what with a node's volumes",
	.help = "Lines of PEER VOLUME RIGHT [label], as in the file of 'serve --acl'; those that count for VOLUME, or all. Who has no\n"
		"line may do nothing, but for this user and root on unix sockets, who may do everything.\n\n"
		"  --json          one JSON object\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = acl_run,
};
