// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/loop.h"
#include "node/units.h"

#include <stdio.h>

static int
parse_sector_size(const char *text, struct loop_options *options)
{
	char why[160];
	uint64_t size;
	if (units_parse_size(text, &size, why, sizeof why) != 0)
		return command_usage(&command_attach, "--sector-size %s: %s", text, why);
	if (size < 512 || size > 4096 || (size & (size - 1)) != 0)
		return command_usage(&command_attach, "--sector-size %s: right would be 512, 1K, 2K or 4K", text);
	options->sector_size = (uint32_t)size;
	return EXIT_DONE;
}

static int
attach_run(int argc, char **argv)
{
	enum { FLAG_READ_ONLY, FLAG_SECTOR_SIZE };
	static const struct arg_flag flags[] = { { "read-only", 'r', false }, { "sector-size", 0, true }, { .name = NULL } };
	struct loop_options options = { .sector_size = 0 };
	const char *image = NULL, *value;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_attach, "%s", args.error);
		if (flag == ARGS_WORD && image != NULL)
			return command_usage(&command_attach, "%s: a second IMAGE; one at a time", value);
		if (flag == ARGS_WORD)
			image = value;
		else if (flag == FLAG_READ_ONLY)
			options.read_only = true;
		else if (parse_sector_size(value, &options) != EXIT_DONE)
			return EXIT_USAGE;
	}
	if (image == NULL)
		return command_usage(&command_attach, "IMAGE is missing: DIR/NAME.img of a mounted volume");
	char device[LOOP_PATH_SIZE], error[1024];
	bool cached = false;
	if (loop_attach(image, &options, device, &cached, error, sizeof error) != 0)
		return command_fail(&command_attach, "%s", error);
	if (cached)
		fprintf(stderr, "hvfs attach: %s: the kernel does no direct I/O on %s: blocks are cached twice, and what other hosts write "
				"may be seen late\n", device, image);
	puts(device);
	return EXIT_DONE;
}

const struct command command_attach = {
	.name = "attach",
	.usage = "attach IMAGE [--read-only] [--sector-size SIZE]",
	.summary = "make a loop device of a volume's image, and print it",
	.help = "As losetup, with what suits an image of hvfs: direct I/O, so that no block is cached twice, and the\n"
		"volume's block as the sector, where what is on the image allows that. Needs root, who can open an\n"
		"ordinary user's mount only if it was served with --allow-root or --allow-other.\n\n"
		"  --read-only         the device can not be written (the default for read-only volumes)\n"
		"  --sector-size SIZE  512 to 4K instead\n",
	.run = attach_run,
};
