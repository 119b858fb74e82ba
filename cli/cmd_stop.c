// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/control.h"

// {"ok":true} says that all is flushed and unmounted; then the process ends, and only after that are its sockets and its
// lock on the store free for the next one.
static int
stop_node(struct control *control)
{
	if (control_send(control, "stop", NULL, NULL) != 0)
		return -1;
	for (;;) {
		json_t *answer = control_receive(control, NULL);
		if (answer == NULL)
			return -1;
		bool done = json_is_true(json_object_get(answer, "ok"));
		json_decref(answer);
		if (done)
			return 0;
	}
}

static int
stop_run(int argc, char **argv)
{
	static const struct arg_flag flags[] = { { "control", 0, true }, { .name = NULL } };
	const char *path = NULL, *value;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_stop, "%s", args.error);
		if (flag == ARGS_WORD)
			return command_usage(&command_stop, "%s: not expected; a node is named by --control PATH", value);
		path = value;
	}
	struct control control;
	int status = EXIT_DONE;
	if (control_open(&control, path) != 0 || stop_node(&control) != 0)
		status = command_fail(&command_stop, "%s", control.error);
	else
		control_wait_gone(&control);
	control_close(&control);
	return status;
}

const struct command command_stop = {
	.name = "stop",
	.usage = "stop [--control PATH]",
	.summary = "flush, unmount and end a node, and wait for it",
	.help = "As SIGTERM to the node: everything written there goes to the root, the mount goes, the node ends.\n"
		"Returns when it has ended; 1 when something could not be brought to the root.\n\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = stop_run,
};
