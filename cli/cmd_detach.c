// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/loop.h"

#include <string.h>
#include <sys/stat.h>

enum { DEVICES_MAX = 256 };

static int
detach_image(const char *image, bool force)
{
	char devices[DEVICES_MAX][LOOP_PATH_SIZE], error[1024];
	int count = loop_find(image, devices, DEVICES_MAX, error, sizeof error);
	if (count < 0)
		return command_fail(&command_detach, "%s", error);
	if (count == 0)
		return command_fail(&command_detach, "%s: neither a loop device nor the image of one", image);
	int status = EXIT_DONE;
	for (int i = 0; i < count; i++)
		if (loop_detach(devices[i], force, error, sizeof error) != 0)
			status = command_fail(&command_detach, "%s", error);
	return status;
}

static int
detach_run(int argc, char **argv)
{
	static const struct arg_flag flags[] = { { "force", 'f', false }, { .name = NULL } };
	const char *what = NULL, *value;
	bool force = false;
	char error[1024];
	struct args args;
	struct stat st;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_detach, "%s", args.error);
		if (flag == ARGS_WORD && what != NULL)
			return command_usage(&command_detach, "%s: a second DEVICE; one at a time", value);
		if (flag == ARGS_WORD)
			what = value;
		else
			force = true;
	}
	if (what == NULL)
		return command_usage(&command_detach, "DEVICE or IMAGE is missing: what 'hvfs attach' printed, or was given");
	if (strncmp(what, "/dev/loop", 9) != 0 && (stat(what, &st) != 0 || !S_ISBLK(st.st_mode)))
		return detach_image(what, force);
	return loop_detach(what, force, error, sizeof error) == 0 ? EXIT_DONE : command_fail(&command_detach, "%s", error);
}

const struct command command_detach = {
	.name = "detach",
	.usage = "detach DEVICE|IMAGE [--force]",
	.summary = "release a loop device, and wait until it is free",
	.help = "DEVICE is what 'hvfs attach' printed; with IMAGE all its devices go. What was written to the device\n"
		"is written out first. A device that is mounted is refused.\n\n"
		"  --force  release it even if what was written there can not be written out (its node is gone)\n",
	.run = detach_run,
};
