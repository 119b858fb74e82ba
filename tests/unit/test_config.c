// SPDX-License-Identifier: MIT
// Units, words of the command line, and the configuration of `serve` from flags and file.
#include "cli/args.h"
#include "cli/config.h"
#include "cli/config_file.h"
#include "cli/paths.h"
#include "cli/sector.h"
#include "node/units.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- Helpers ----

static struct config config;
static char error[2048];
static char file_path[64];

static uint64_t
size_of(const char *text)
{
	uint64_t size = 77;
	return units_parse_size(text, &size, error, sizeof error) == 0 ? size : UINT64_MAX;
}

static uint32_t
ms_of(const char *text)
{
	uint32_t ms = 0;
	return units_parse_duration(text, &ms, error, sizeof error) == 0 ? ms : 0;
}

// Load from ${words}, separated by single spaces.
static int
load(const char *words)
{
	char copy[4096], *argv[64], *rest = copy;
	int argc = 0;
	ck_assert_uint_lt(strlen(words), sizeof copy);
	strcpy(copy, words);
	for (char *word; (word = strsep(&rest, " ")) != NULL;)
		argv[argc++] = word;
	error[0] = '\0';
	return config_load(&config, argc, argv, error, sizeof error);
}

// Load from a file of ${text} and the flags ${words}.
static int
load_file(const char *text, const char *words)
{
	char line[4096];
	FILE *file = fopen(file_path, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
	snprintf(line, sizeof line, "-c %s%s%s", file_path, words[0] != '\0' ? " " : "", words);
	return load(line);
}

static void
assert_refused(const char *words, const char *part)
{
	ck_assert_msg(load(words) == -1, "accepted: %s", words);
	ck_assert_msg(strstr(error, part) != NULL, "'%s' is not in: %s", part, error);
}

static void
assert_file_refused(const char *text, const char *part)
{
	char where[128];
	ck_assert_msg(load_file(text, "") == -1, "accepted: %s", text);
	snprintf(where, sizeof where, "%s:%s", file_path, part);
	ck_assert_msg(strstr(error, where) != NULL, "'%s' is not in: %s", where, error);
}

static void
make_file(void)
{
	strcpy(file_path, "/tmp/hvfs-test-config-XXXXXX");
	int fd = mkstemp(file_path);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void
remove_file(void)
{
	unlink(file_path);
}

// ---- Units ----

START_TEST(sizes_are_powers_of_1024)
{
	ck_assert_uint_eq(size_of("0"), 0);
	ck_assert_uint_eq(size_of("4096"), 4096);
	ck_assert_uint_eq(size_of("64K"), 65536);
	ck_assert_uint_eq(size_of("64k"), 65536);
	ck_assert_uint_eq(size_of("3M"), 3 << 20);
	ck_assert_uint_eq(size_of("1G"), 1 << 30);
	ck_assert_uint_eq(size_of("16T"), UINT64_C(16) << 40);
}
END_TEST

// At the edge of what a signed offset holds, and where a multiplication would wrap.
START_TEST(sizes_do_not_overflow)
{
	ck_assert_uint_eq(size_of("9223372036854775807"), INT64_MAX);
	ck_assert_uint_eq(size_of("9223372036854775808"), UINT64_MAX);
	ck_assert_uint_eq(size_of("8388607T"), UINT64_C(8388607) << 40);
	ck_assert_uint_eq(size_of("8388608T"), UINT64_MAX);
	ck_assert_uint_eq(size_of("18446744073709551616"), UINT64_MAX);
	ck_assert_uint_eq(size_of("18446744073709551617K"), UINT64_MAX);
}
END_TEST

START_TEST(sizes_refuse_what_is_no_size)
{
	static const char *const wrong[] = { "", "K", "-1", "+1", "1.5G", "1 G", "1GB", "1X", "0x10", " 1" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_msg(size_of(wrong[i]) == UINT64_MAX, "accepted: '%s'", wrong[i]);
}
END_TEST

START_TEST(sizes_print_as_they_parse)
{
	static const uint64_t sizes[] = { 0, 1, 512, 1000, 1024, 4096, 1536, 1 << 20, (1 << 20) + 512, UINT64_C(3) << 40, INT64_MAX };
	char text[UNITS_TEXT_SIZE];
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		ck_assert_uint_eq(size_of(units_print_size(sizes[i], text)), sizes[i]);
}
END_TEST

START_TEST(sizes_print_short)
{
	char text[UNITS_TEXT_SIZE];
	ck_assert_str_eq(units_print_size_short(0, text), "0");
	ck_assert_str_eq(units_print_size_short(1023, text), "1023");
	ck_assert_str_eq(units_print_size_short(65536, text), "64K");
	ck_assert_str_eq(units_print_size_short(1268776, text), "1.21M");
	ck_assert_str_eq(units_print_size_short((1 << 20) - 1, text), "1M");
	ck_assert_str_eq(units_print_size_short(UINT64_MAX, text), "16E");
}
END_TEST

START_TEST(durations)
{
	ck_assert_uint_eq(ms_of("1ms"), 1);
	ck_assert_uint_eq(ms_of("30s"), 30000);
	ck_assert_uint_eq(ms_of("20m"), 1200000);
	ck_assert_uint_eq(ms_of("1193h"), 4294800000);
	ck_assert_uint_eq(ms_of("1194h"), 0);
	static const char *const wrong[] = { "", "0s", "30", "s", "-1s", "1d", "1.5s", "4294967296ms", "99999999999999999999s" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		ck_assert_msg(ms_of(wrong[i]) == 0, "accepted: '%s'", wrong[i]);
}
END_TEST

// ---- Words ----

START_TEST(words_of_a_command_line)
{
	static const struct arg_flag flags[] = { { "size", 's', true }, { "json", 0, false }, { .name = NULL } };
	const char *argv[] = { "a", "--size", "-1", "--json", "-s", "2", "--size=3", "-", "--", "--json" };
	const char *value;
	struct args args;
	args_init(&args, 10, (char **)argv);
	ck_assert_int_eq(args_next(&args, flags, &value), ARGS_WORD);
	ck_assert_str_eq(value, "a");
	ck_assert_int_eq(args_next(&args, flags, &value), 0);
	ck_assert_str_eq(value, "-1");
	ck_assert_int_eq(args_next(&args, flags, &value), 1);
	ck_assert_ptr_null(value);
	ck_assert_int_eq(args_next(&args, flags, &value), 0);
	ck_assert_str_eq(value, "2");
	ck_assert_int_eq(args_next(&args, flags, &value), 0);
	ck_assert_str_eq(value, "3");
	ck_assert_int_eq(args_next(&args, flags, &value), ARGS_WORD);
	ck_assert_str_eq(value, "-");
	ck_assert_int_eq(args_next(&args, flags, &value), ARGS_WORD);
	ck_assert_str_eq(value, "--json");
	ck_assert_int_eq(args_next(&args, flags, &value), ARGS_END);
}
END_TEST

START_TEST(words_are_not_abbreviated)
{
	static const struct arg_flag flags[] = { { "size", 's', true }, { .name = NULL } };
	static const char *const wrong[] = { "--siz", "--sizes=1", "-x", "-sx", "--size" };
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const char *argv[] = { wrong[i] };
		const char *value;
		struct args args;
		args_init(&args, 1, (char **)argv);
		ck_assert_int_eq(args_next(&args, flags, &value), ARGS_ERROR);
		ck_assert_ptr_nonnull(strstr(args.error, wrong[i]));
	}
}
END_TEST

// ---- Flags ----

START_TEST(flags_make_a_config)
{
	ck_assert_msg(load("--name leaf --volume a=disk.img --volume b --parent unix:p.sock,[::1]:7 --parent h:8 --listen unix:l.sock "
			   "--mount m --write-mode sync --cache mem:16M,ways=4 --hb-ttl 2s --ttl 1m --control c --daemon --log-level debug "
			   "--directory 2M --push 1M") == 0,
		      "%s", error);
	ck_assert_str_eq(config.node.name, "leaf");
	ck_assert_uint_eq(config.node.volume_count, 2);
	ck_assert_str_eq(config.node.volumes[0].name, "a");
	ck_assert_str_eq(config.node.volumes[0].store, "disk.img");
	ck_assert_str_eq(config.node.volumes[1].name, "b");
	ck_assert_str_eq(config.node.volumes[1].store, "");
	ck_assert_uint_eq(config.node.parent_count, 3);
	ck_assert(config.node.parents[0].is_unix);
	ck_assert_str_eq(config.node.parents[0].path, "p.sock");
	ck_assert_str_eq(config.node.parents[1].host, "::1");
	ck_assert_str_eq(config.node.parents[2].port, "8");
	ck_assert_uint_eq(config.node.listen_count, 1);
	ck_assert_str_eq(config.node.mount, "m");
	ck_assert_int_eq(config.node.settings.write_mode, WRITE_SYNC);
	ck_assert_uint_eq(config.node.level_count, 1);
	ck_assert_uint_eq(config.node.levels[0].size, 16 << 20);
	ck_assert_uint_eq(config.node.levels[0].ways, 4);
	ck_assert_uint_eq(config.node.hb_ttl_ms, 2000);
	ck_assert_uint_eq(config.node.ttl_ms, 60000);
	ck_assert_uint_eq(config.node.directory_max, 2 << 20);
	ck_assert_uint_eq(config.node.settings.push_size, 1 << 20);
	ck_assert_str_eq(config.node.control, "c");
	ck_assert(config.daemon && !config.default_control);
	ck_assert_int_eq(config.node.settings.log_level, LOG_LEVEL_DEBUG);
}
END_TEST

START_TEST(settings_are_read_as_they_are_printed)
{
	static const char *const good[][2] = {
		{ "write-mode", "async" },   { "write-mode", "semi-sync" },    { "write-mode", "sync" },
		{ "durability", "root" },    { "durability", "parent" },       { "durability", "local" },
		{ "on-disconnect", "wait" }, { "on-disconnect", "error" },     { "on-disconnect", "error:30s" },
		{ "on-disconnect", "error:1500ms" }, { "on-disconnect", "error:2h" }, { "push", "0" }, { "push", "4M" }, { "log-level", "error" },
		{ "log-level", "debug" },
	};
	struct settings settings = { .write_mode = WRITE_ASYNC };
	char text[SETTINGS_TEXT_SIZE];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		ck_assert_int_eq(settings_set(&settings, good[i][0], good[i][1], error, sizeof error), 0);
		ck_assert_str_eq(settings_print(&settings, good[i][0], text), good[i][1]);
	}
	ck_assert_uint_eq(settings.disconnect_ms, 2 * 3600 * 1000);
	ck_assert_int_eq(settings_set(&settings, "on-disconnect", "error:60s", error, sizeof error), 0);
	ck_assert_str_eq(settings_print(&settings, "on-disconnect", text), "error:1m");
	ck_assert_int_eq(settings_set(&settings, "name", "x", error, sizeof error), -1);
	ck_assert_ptr_nonnull(strstr(error, "no such setting"));
	ck_assert_int_eq(load("--volume v=d --durability parent --on-disconnect error:5s --rescue r"), 0);
	ck_assert_int_eq(config.node.settings.durability, DURABILITY_PARENT);
	ck_assert_uint_eq(config.node.settings.disconnect_ms, 5000);
	ck_assert_str_eq(config.node.rescue, "r");
	ck_assert_int_eq(load("--volume v=d --durability local --journal a:b/j:64M"), 0);
	ck_assert_str_eq(config.node.journal, "a:b/j");
	ck_assert_uint_eq(config.node.journal_size, 64 << 20);
}
END_TEST

// cli.md gives these numbers to users.
START_TEST(defaults)
{
	ck_assert_msg(load("--volume v=d --name n") == 0, "%s", error);
	ck_assert_uint_eq(config.node.hb_ttl_ms, 30000);
	ck_assert_uint_eq(config.node.ttl_ms, 1200000);
	ck_assert_int_eq(config.node.settings.write_mode, WRITE_ASYNC);
	ck_assert_int_eq(config.node.settings.durability, DURABILITY_ROOT);
	ck_assert_uint_eq(config.node.settings.disconnect_ms, DISCONNECT_WAIT);
	ck_assert_ptr_nonnull(strstr(config.node.rescue, "hvfs/rescue"));
	ck_assert_uint_eq(config.node.level_count, 1);
	ck_assert_uint_eq(config.node.levels[0].size, 256 << 20);
	ck_assert(config.default_control);
	ck_assert_ptr_nonnull(strstr(config.node.control, "/n.sock"));
	ck_assert(!config.daemon && !config.node.insecure && !config.node.read_only && !config.node.allow_other);
}
END_TEST

START_TEST(a_store_may_have_an_equals_sign)
{
	ck_assert_int_eq(load("--volume v=a=b"), 0);
	ck_assert_str_eq(config.node.volumes[0].store, "a=b");
}
END_TEST

START_TEST(bad_flags_are_named_with_their_value)
{
	assert_refused("--volume v=d --hb-ttl 30", "--hb-ttl 30: ");
	assert_refused("--volume v=d --push 65M", "--push 65M: right would be 0 (none) to 64M");
	assert_refused("--volume v=d --directory 0", "--directory 0: right would be 1 to 256M");
	assert_refused("--volume v=d --directory 257M", "--directory 257M: right would be 1 to 256M");
	assert_refused("--volume v=d --write-mode fast", "--write-mode fast: right would be async");
	assert_refused("--volume v=d --durability disk", "--durability disk: right would be root");
	assert_refused("--volume v=d --on-disconnect panic", "--on-disconnect panic: right would be wait, error");
	assert_refused("--volume v=d --on-disconnect error:", "--on-disconnect error:: after error: no duration");
	assert_refused("--volume v=d --on-disconnect error5s", "--on-disconnect error5s: right would be wait");
	assert_refused("--volume v=d --rescue=", "--rescue : empty");
	assert_refused("--volume v=d --log-level loud", "--log-level loud: right would be error");
	assert_refused("--volume v=d --journal j", "PATH:SIZE");
	assert_refused("--volume v=d --journal j:512K", "at least 1M");
	assert_refused("--volume v=d --cache 16M", "--cache 16M: 16M: right would be mem:SIZE");
	assert_refused("--volume v=d --cache mem:16X", "--cache mem:16X: 16X: no size");
	assert_refused("--volume v=d --cache mem:16M,ways=0", "ways=0");
	assert_refused("--volume v=d --cache mem:16M,ways=257", "ways=257"); // the cache would stop the process
	assert_refused("--volume v=d --cache mem:16M,hash=x", "hash=x");
	assert_refused("--volume v=d --cache disk:c:1G", "a level in memory must be above it");
	assert_refused("--volume v=d --read-only=maybe", "--read-only maybe: neither");
	assert_refused("--volume v=d --bogus 1", "--bogus: no such flag");
	assert_refused("--volume v=d --mount", "--mount: its value is missing");
	assert_refused("--volume v=d surplus", "surplus: not expected");
	assert_refused("--volume v=d --listen nowhere", "--listen nowhere: ");
	assert_refused("--volume v=d --parent unix:a,nowhere", "nowhere");
	assert_refused("--volume v=d --name ../x", "--name ../x: a name is made of");
	assert_refused("--volume v=d --volume v", "--volume v: there is a volume of this name");
	assert_refused("--volume v=", "--volume v=: ");
	assert_refused("--volume v=d --allow-other --allow-root", "only one");
	assert_refused("--name n", "no volume");
	assert_refused("--name n --parent unix:p", "no volume");
	assert_refused("--volume v", "--volume v: without =STORE");
	assert_refused("-c a -c b", "-c b: a second file");
	assert_refused("-c /nonexistent/file", "-c /nonexistent/file: No such file");
}
END_TEST

START_TEST(bad_volume_names_are_refused)
{
	static const char *const wrong[] = { "", ".", "..", ".x", "-x", "a/b", "a b", "a\nb", "\xc3\xa4", "a:b" };
	char name[LIMIT_NAME_SIZE + 3];
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		const char *argv[] = { "--volume", wrong[i], "--parent", "unix:p" };
		ck_assert_msg(config_load(&config, 4, (char **)argv, error, sizeof error) == -1, "accepted: '%s'", wrong[i]);
	}
	memset(name, 'a', sizeof name);
	name[LIMIT_NAME_SIZE + 1] = '\0';
	const char *argv[] = { "--volume", name, "--parent", "unix:p", "--name", "n" };
	ck_assert_int_eq(config_load(&config, 6, (char **)argv, error, sizeof error), -1);
	name[LIMIT_NAME_SIZE] = '\0';
	ck_assert_int_eq(config_load(&config, 6, (char **)argv, error, sizeof error), 0);
}
END_TEST

// Its children say which volumes.
START_TEST(a_pure_proxy_needs_no_volume)
{
	ck_assert_msg(load("--name p --parent unix:p.sock --listen unix:l.sock") == 0, "%s", error);
}
END_TEST

// Limits are refused, never forgotten (hazard 51).
START_TEST(too_many_are_refused)
{
	const char *argv[2 * LIMIT_VOLUMES + 2];
	char names[LIMIT_VOLUMES + 1][16];
	for (int i = 0; i <= LIMIT_VOLUMES; i++) {
		snprintf(names[i], sizeof names[i], "v%d=d", i);
		argv[2 * i] = "--volume";
		argv[2 * i + 1] = names[i];
	}
	ck_assert_int_eq(config_load(&config, 2 * LIMIT_VOLUMES, (char **)argv, error, sizeof error), 0);
	ck_assert_int_eq(config_load(&config, 2 * LIMIT_VOLUMES + 2, (char **)argv, error, sizeof error), -1);
	assert_refused("--volume v --parent h:1,h:2,h:3,h:4,h:5,h:6,h:7,h:8,h:9", "more than 8 addresses");
}
END_TEST

// ---- The file ----

START_TEST(a_file_says_what_flags_say)
{
	ck_assert_msg(load_file("# a node\n"
				"; really\n"
				"[serve]\n"
				"name = leaf\n"
				"volume = a=disk.img\n"
				"volume = b\n"
				"parent = unix:p.sock\n"
				"read-only = yes\n"
				"daemon = no\n"
				"ttl = 5m\n",
				"") == 0, "%s", error);
	ck_assert_str_eq(config.node.name, "leaf");
	ck_assert_uint_eq(config.node.volume_count, 2);
	ck_assert_str_eq(config.node.volumes[0].store, "disk.img");
	ck_assert_str_eq(config.node.parents[0].path, "p.sock");
	ck_assert(config.node.read_only && !config.daemon);
	ck_assert_uint_eq(config.node.ttl_ms, 300000);
}
END_TEST

// A flag wins: also over a line that would be wrong, and over all lines of a key that may stand several times.
START_TEST(a_flag_wins_over_the_file)
{
	ck_assert_msg(load_file("name = file\nvolume = a=x\nvolume = b=y\nread-only = yes\nttl = nonsense\n",
				"--name flag --volume c=z --read-only=no --ttl 7s") == 0, "%s", error);
	ck_assert_str_eq(config.node.name, "flag");
	ck_assert_uint_eq(config.node.volume_count, 1);
	ck_assert_str_eq(config.node.volumes[0].name, "c");
	ck_assert(!config.node.read_only);
	ck_assert_uint_eq(config.node.ttl_ms, 7000);
}
END_TEST

START_TEST(bad_lines_are_named_by_number)
{
	char text[1024];
	assert_file_refused("name = n\n\nvolum = v\n", "3: volum = v: no such key");
	assert_file_refused("name = n\nttl = 5\n", "2: ttl = 5: no duration");
	assert_file_refused("name = n\nvolume\n", "2: right would be KEY = VALUE");
	assert_file_refused("name = n\nname = m\n", "2: name = m: given a second time");
	assert_file_refused("[other]\nname = n\n", "2: [other]: no such section");
	assert_file_refused("[serve\nname = n\n", "1: right would be");
	assert_file_refused("mount =\n", "1: mount = : empty");
	assert_file_refused("config = x\n", "1: config = x: no such key");
	memset(text, 'x', sizeof text);
	memcpy(text, "\nmount = ", 9);
	text[sizeof text - 1] = '\0';
	assert_file_refused(text, "2: longer than");
}
END_TEST

// ---- Paths and sectors ----

START_TEST(paths_become_absolute_together)
{
	char directory[512], expected[1024], long_name[90];
	ck_assert_ptr_nonnull(getcwd(directory, sizeof directory));
	ck_assert_int_eq(chdir("/tmp"), 0);
	ck_assert_int_eq(load("--name n --volume v=d --listen unix:s --mount m --control c"), 0);
	ck_assert(config_make_absolute(&config));
	ck_assert_str_eq(config.node.volumes[0].store, "/tmp/d");
	ck_assert_str_eq(config.node.listens[0].path, "/tmp/s");
	ck_assert_str_eq(config.node.listens[0].text, "unix:s");
	ck_assert_str_eq(config.node.mount, "/tmp/m");
	ck_assert_str_eq(config.node.control, "/tmp/c");

	// A socket that only fits as it is: then nothing changes.
	memset(long_name, 'x', sizeof long_name);
	memset(long_name + 85, '\0', 1);
	snprintf(expected, sizeof expected, "--name n --volume v=d --mount m --control %s%s", long_name, "01234567890123456789");
	ck_assert_int_eq(load(expected), 0);
	ck_assert(!config_make_absolute(&config));
	ck_assert_str_eq(config.node.volumes[0].store, "d");
	ck_assert_int_eq(chdir(directory), 0);
}
END_TEST

// Of the volumes that are sealed and have a store: what is said of one goes before what is said of all.
START_TEST(at_rest)
{
	const char *all = "--volume a=a.img --volume b=b.img --volume c=c.img --volume-key a=a.key --volume-key b=b.key "
			  "--name n --control n.ctl";
	char words[512];

	ck_assert_int_eq(load(all), 0);
	ck_assert_int_eq(config.node.volumes[0].at_rest, AT_REST_DEFAULT);
	snprintf(words, sizeof words, "%s --at-rest b=sealed --at-rest plain", all);
	ck_assert_msg(load(words) == 0, "%s", error);
	ck_assert_int_eq(config.node.volumes[0].at_rest, AT_REST_PLAIN);
	ck_assert_int_eq(config.node.volumes[1].at_rest, AT_REST_SEALED);
	ck_assert_int_eq(config.node.volumes[2].at_rest, AT_REST_DEFAULT);
	ck_assert_int_eq(load_file("at-rest = a=plain\nat-rest = sealed\n", all), 0);
	ck_assert_int_eq(config.node.volumes[0].at_rest, AT_REST_PLAIN);
	ck_assert_int_eq(config.node.volumes[1].at_rest, AT_REST_SEALED);
	snprintf(words, sizeof words, "%s --at-rest a=plain --at-rest a=sealed", all);
	assert_refused(words, "given twice");
	snprintf(words, sizeof words, "%s --at-rest c=plain", all);
	assert_refused(words, "--at-rest c: there is no such --volume");
	snprintf(words, sizeof words, "%s --at-rest raw", all);
	assert_refused(words, "right would be sealed or plain");
}
END_TEST

START_TEST(a_sector_fits_what_is_on_the_image)
{
	static uint8_t bytes[SECTOR_LOOK_SIZE];
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 4096), 4096);
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 512), 512);
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 1024), 1024);
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 32768), 4096);
	// ext4 of 1 KiB, then of 4 KiB blocks.
	bytes[1024 + 56] = 0x53;
	bytes[1024 + 57] = 0xef;
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 4096), 1024);
	bytes[1024 + 24] = 2;
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 4096), 4096);
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 512), 512);
	// XFS of 512-byte, then 4 KiB sectors.
	memset(bytes, 0, sizeof bytes);
	memcpy(bytes, "XFSB", 4);
	bytes[102] = 2;
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 4096), 512);
	bytes[102] = 16;
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 4096), 4096);
	// Anything else.
	memset(bytes, 0, sizeof bytes);
	bytes[510] = 0x55;
	ck_assert_uint_eq(sector_size_choose(bytes, sizeof bytes, 4096), 512);
}
END_TEST

// ---- The suite ----

static TCase *
make_case(const char *name, const TTest *const tests[])
{
	TCase *tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, make_file, remove_file);
	for (size_t i = 0; tests[i] != NULL; i++)
		tcase_add_test(tcase, tests[i]);
	return tcase;
}

int
main(void)
{
	const TTest *const units[] = { sizes_are_powers_of_1024, sizes_do_not_overflow, sizes_refuse_what_is_no_size,
				       sizes_print_as_they_parse, sizes_print_short, durations, NULL };
	const TTest *const words[] = { words_of_a_command_line, words_are_not_abbreviated, NULL };
	const TTest *const flags[] = { flags_make_a_config, settings_are_read_as_they_are_printed, defaults, a_store_may_have_an_equals_sign,
				       bad_flags_are_named_with_their_value, bad_volume_names_are_refused, a_pure_proxy_needs_no_volume, too_many_are_refused, NULL };
	const TTest *const files[] = { a_file_says_what_flags_say, a_flag_wins_over_the_file, bad_lines_are_named_by_number, NULL };
	const TTest *const others[] = { paths_become_absolute_together, at_rest, a_sector_fits_what_is_on_the_image, NULL };
	Suite *suite = suite_create("config");
	suite_add_tcase(suite, make_case("units", units));
	suite_add_tcase(suite, make_case("words", words));
	suite_add_tcase(suite, make_case("flags", flags));
	suite_add_tcase(suite, make_case("files", files));
	suite_add_tcase(suite, make_case("others", others));
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
