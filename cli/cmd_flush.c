// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/control.h"
#include "cli/progress.h"
#include "node/units.h"

#include <stdio.h>

static void
draw(struct progress *progress, json_int_t *whole, json_int_t dirty)
{
	char left[UNITS_TEXT_SIZE], text[UNITS_TEXT_SIZE + 8];
	if (dirty > *whole)
		*whole = dirty; // the first one, but for what is written meanwhile
	snprintf(text, sizeof text, "%s left", units_print_size_short(dirty < 0 ? 0 : (uint64_t)dirty, left));
	progress_draw(progress, *whole == 0 ? 1 : (double)(*whole - dirty) / (double)*whole, text);
}

static int
flush_volume(struct control *control, const char *volume)
{
	struct progress progress;
	json_int_t whole = 0;
	progress_begin(&progress);
	int status = control_send(control, "flush", volume != NULL ? "volume" : NULL, volume);
	for (bool done = false; status == 0 && !done;) {
		json_t *answer = control_receive(control);
		if (answer == NULL)
			status = -1;
		else if (json_is_true(json_object_get(answer, "ok")))
			done = true;
		else
			draw(&progress, &whole, json_integer_value(json_object_get(answer, "dirty_bytes")));
		json_decref(answer);
	}
	if (status == 0)
		draw(&progress, &whole, 0);
	progress_end(&progress);
	return status;
}

static int
flush_run(int argc, char **argv)
{
	static const struct arg_flag flags[] = { { "control", 0, true }, { .name = NULL } };
	const char *path = NULL, *volume = NULL, *value;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_flush, "%s", args.error);
		if (flag == ARGS_WORD && volume != NULL)
			return command_usage(&command_flush, "%s: a second VOLUME; give one, or none for all", value);
		*(flag == ARGS_WORD ? &volume : &path) = value;
	}
	struct control control;
	int status = EXIT_DONE;
	if (control_open(&control, path) != 0 || flush_volume(&control, volume) != 0)
		status = command_fail(&command_flush, "%s", control.error);
	control_close(&control);
	return status;
}

const struct command command_flush = {
	.name = "flush",
	.usage = "flush [VOLUME] [--control PATH]",
	.summary = "make everything written here durable at the root",
	.help = "Returns when all that was written through this node before is on the root's stable storage.\n"
		"Without VOLUME: of all volumes. On a terminal a bar shows what is left.\n\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = flush_run,
};
