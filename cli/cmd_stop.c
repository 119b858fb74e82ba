// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/stop.h"

#include "node/units.h"

static int
stop_run(int argc, char **argv)
{
	enum { FLAG_CONTROL, FLAG_TIMEOUT };
	static const struct arg_flag flags[] = { { "control", 0, true }, { "timeout", 0, true }, { .name = NULL } };
	const char *path = NULL, *value;
	uint32_t timeout_ms = 0;
	char why[160];
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_stop, "%s", args.error);
		if (flag == ARGS_WORD)
			return command_usage(&command_stop, "%s: not expected; a node is named by --control PATH", value);
		if (flag == FLAG_CONTROL)
			path = value;
		else if (units_parse_duration(value, &timeout_ms, why, sizeof why) != 0)
			return command_usage(&command_stop, "--timeout %s: %s", value, why);
	}
	struct control control;
	int status = EXIT_DONE;
	if (control_open(&control, path) != 0 || stop_node(&control, command_stop.name, timeout_ms) != 0)
		status = command_fail(&command_stop, "%s", control.error);
	control_close(&control);
	return status;
}

const struct command command_stop = {
	.name = "stop",
	.usage = "stop [--timeout DURATION] [--control PATH]",
	.summary = "flush, unmount and end a node, and wait for it",
	.help = "As SIGTERM to the node: everything written there goes to the root, the mount goes, the node ends.\n"
		"Returns when it has ended; 1 when something could not be brought to the root. Meanwhile what it waits for\n"
		"is said on standard error. A stop that makes no progress for the node's --io-timeout is given up.\n\n"
		"  --timeout DURATION  give up after this, whatever is open then: its bytes are lost, and named\n"
		"  --control PATH      the node's control socket (default: this host's node, or the only one)\n",
	.run = stop_run,
};
