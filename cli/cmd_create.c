// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/paths.h"
#include "node/units.h"
#include "core/limits.h"
#include "store/store.h"

#include <string.h>
#include <sys/stat.h>

struct create {
	const char *store;
	const char *size_text, *block_size_text;
	uint64_t size;
	uint64_t block_size;
};

static int
parse_args(struct create *create, int argc, char **argv)
{
	enum { FLAG_SIZE, FLAG_BLOCK_SIZE };
	static const struct arg_flag flags[] = { { "size", 's', true }, { "block-size", 'b', true }, { .name = NULL } };
	struct args args;
	const char *value;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_create, "%s", args.error);
		if (flag == ARGS_WORD && create->store != NULL)
			return command_usage(&command_create, "%s: a second STORE; one at a time", value);
		if (flag == ARGS_WORD)
			create->store = value;
		else if (flag == FLAG_SIZE)
			create->size_text = value;
		else
			create->block_size_text = value;
	}
	if (create->store == NULL)
		return command_usage(&command_create, "STORE is missing: the path of the file to make");
	if (paths_is_reserved_store(create->store))
		return command_usage(&command_create, "%s: storage of this kind is not supported yet; right would be a path (./%s is one)",
				     create->store, create->store);
	return EXIT_DONE;
}

static int
parse_sizes(struct create *create)
{
	struct stat st;
	char why[160];
	if (create->block_size_text != NULL && units_parse_size(create->block_size_text, &create->block_size, why, sizeof why) != 0)
		return command_usage(&command_create, "--block-size %s: %s", create->block_size_text, why);
	if (create->block_size < LIMIT_BLOCK_SIZE_MIN || create->block_size > LIMIT_BLOCK_SIZE_MAX ||
	    (create->block_size & (create->block_size - 1)) != 0)
		return command_usage(&command_create, "--block-size %s: right would be a power of two from 512 to 32K", create->block_size_text);
	if (create->size_text == NULL) {
		// A block device has a size of its own.
		if (stat(create->store, &st) == 0 && S_ISBLK(st.st_mode))
			return EXIT_DONE;
		return command_usage(&command_create, "--size SIZE is missing");
	}
	if (units_parse_size(create->size_text, &create->size, why, sizeof why) != 0)
		return command_usage(&command_create, "--size %s: %s", create->size_text, why);
	return EXIT_DONE;
}

static int
check_multiple(const struct create *create)
{
	char text[UNITS_TEXT_SIZE], block_text[UNITS_TEXT_SIZE];
	if (create->size_text == NULL || (create->size != 0 && create->size % create->block_size == 0))
		return EXIT_DONE;
	uint64_t right = (create->size / create->block_size + 1) * create->block_size;
	return command_usage(&command_create, "--size %s: right would be a multiple of the block size, %s, as %s is", create->size_text,
			     units_print_size(create->block_size, block_text), units_print_size(right, text));
}

static int
create_run(int argc, char **argv)
{
	struct create create = { .block_size = 4096 };
	char error[1024];
	int status = parse_args(&create, argc, argv);
	if (status == EXIT_DONE)
		status = parse_sizes(&create);
	if (status == EXIT_DONE)
		status = check_multiple(&create);
	if (status != EXIT_DONE)
		return status;
	if (store_create(create.store, create.size, (uint32_t)create.block_size, error, sizeof error) != 0)
		return command_fail(&command_create, "%s", error);
	return EXIT_DONE;
}

const struct command command_create = {
	.name = "create",
	.usage = "create STORE --size SIZE [--block-size SIZE]",
	.summary = "make the storage of a new volume",
	.help = "STORE is the path of a file, which is made (sparse: it takes space as it is written), or of a\n"
		"block device, which is taken over; then SIZE may be left out.\n\n"
		"  --size SIZE        bytes, or with K, M, G, T (powers of 1024); a multiple of the block size\n"
		"  --block-size SIZE  what is transferred and locked as one: a power of two, 512 to 32K (4K)\n",
	.run = create_run,
};
