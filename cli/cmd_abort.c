// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/control.h"

#include "node/units.h"

#include <stdio.h>

static int
abort_volume(struct control *control, const char *volume)
{
	char text[UNITS_TEXT_SIZE];
	if (control_send(control, "abort", "volume", volume) != 0)
		return -1;
	json_t *answer = control_receive(control);
	if (answer == NULL)
		return -1;
	json_int_t requests = json_integer_value(json_object_get(answer, "requests"));
	json_int_t dirty = json_integer_value(json_object_get(answer, "dirty_bytes"));
	printf("volume %s is aborted: %lld requests that waited have failed, and all others fail from now on; %s were not at the root\n",
	       volume, (long long)requests, units_print_size_short((uint64_t)dirty, text));
	json_decref(answer);
	return 0;
}

static int
abort_run(int argc, char **argv)
{
	static const struct arg_flag flags[] = { { "control", 0, true }, { .name = NULL } };
	const char *path = NULL, *volume = NULL, *value;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_abort, "%s", args.error);
		if (flag == ARGS_WORD && volume != NULL)
			return command_usage(&command_abort, "%s: a second VOLUME; one at a time", value);
		*(flag == ARGS_WORD ? &volume : &path) = value;
	}
	if (volume == NULL)
		return command_usage(&command_abort, "VOLUME is missing");
	struct control control;
	int status = EXIT_DONE;
	if (control_open(&control, path) != 0 || abort_volume(&control, volume) != 0)
		status = command_fail(&command_abort, "%s", control.error);
	control_close(&control);
	return status;
}

const struct command command_abort = {
	.name = "abort",
	.usage = "abort VOLUME [--control PATH]",
	.summary = "give a volume up on a node: every request fails",
	.help = "For a mount that hangs, since a parent does not answer and will not. What waits fails with EIO, and so does\n"
		"everything that comes, until the node is started again; programs end, and the mount can be unmounted.\n"
		"What was written there and is not known to be on the root's stable storage is given up, and kept in a rescue\n"
		"file (serve --rescue); a node that has children of the volume goes on for them, and gives nothing up.\n\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = abort_run,
};
