// SPDX-License-Identifier: MIT
// hvfs cache ACTION: a table of actions, each of which makes a request of its words; what can be seen to be wrong without
// the node is wrong usage.
#include "cli/args.h"
#include "cli/cache_table.h"
#include "cli/command.h"
#include "cli/control.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "cli/range.h"
#include "node/cache_spec.h"
#include "node/units.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WORDS_MAX = 8 };

struct words {
	const char *control;
	const char *medium; // NULL: not given
	bool as_json;
	const char *words[WORDS_MAX];
	int count;
};

struct action {
	const char *name;
	const char *usage; // after the name
	int words_min, words_max;
	bool may_json, may_medium;
	json_t *(*request)(const struct words *words); // NULL: wrong usage was said
	void (*print)(const struct words *words, const struct control *control, const json_t *answer);
};

// ---- Words ----

// A level's number into ${request}. Returns 0, or -1 and it was said.
static int
set_position(json_t *request, const char *key, const char *word)
{
	char *end;
	errno = 0;
	long number = strtol(word, &end, 10);
	if (word[0] < '0' || word[0] > '9' || *end != '\0' || errno != 0) {
		command_usage(&command_cache, "%s: right would be the number of a level; 0 is the top", word);
		return -1;
	}
	return json_object_set_new(request, key, json_integer(number));
}

static json_t *
action_request(const char *action)
{
	return json_pack("{ssss}", "command", "cache", "action", action);
}

// ${request}, or NULL and it is given back, when ${status} is not 0.
static json_t *
unless_wrong(json_t *request, int status)
{
	if (status == 0)
		return request;
	json_decref(request);
	return NULL;
}

static json_t *
request_list(const struct words *words)
{
	return action_request("list");
}

// A path as this process sees it, for the node, whose directory is another one. Returns 0, or -1 and it was said.
static int
absolute_path(const char *path, char ret[PATH_MAX])
{
	if (strlen(path) < PATH_MAX) {
		strcpy(ret, path);
		if (paths_make_absolute(ret, PATH_MAX) == 0)
			return 0;
	}
	command_usage(&command_cache, "%s: the path is too long", path);
	return -1;
}

// ${level}, on ${medium} (NULL: as it says itself), as it is sent. Returns 0, or -1 and it was said.
static int
level_text(const char *level, const char *medium, char ret[CACHE_SPEC_DISK_SIZE])
{
	struct cache_disk_config disk;
	struct level_config in_memory;
	char why[256], given[CACHE_SPEC_DISK_SIZE], path[PATH_MAX];
	bool on_disk = strncmp(level, "disk:", 5) == 0 || (medium != NULL && strcmp(medium, "mem") != 0);
	if (medium == NULL)
		snprintf(given, sizeof given, "%s", level);
	else if (strncmp(level, "mem:", 4) == 0 || strncmp(level, "disk:", 5) == 0)
		return command_usage(&command_cache, "%s: with --medium right would be SIZE[,ways=N][,hash=NAME][,policy=NAME]", level), -1;
	else if (on_disk)
		snprintf(given, sizeof given, "disk:%s:%s", medium, level);
	else
		snprintf(given, sizeof given, "mem:%s", level);
	if (on_disk ? cache_spec_parse_disk(given, &disk, why, sizeof why) != 0
		    : cache_spec_parse_level(given, &in_memory, why, sizeof why) != 0)
		return command_usage(&command_cache, "%s", why), -1;
	if (!on_disk)
		return snprintf(ret, CACHE_SPEC_DISK_SIZE, "%s", given) < CACHE_SPEC_DISK_SIZE ? 0 : -1;
	if (absolute_path(disk.path, path) != 0)
		return -1;
	strcpy(disk.path, path);
	cache_spec_print_disk(&disk, ret);
	return 0;
}

static json_t *
request_add(const struct words *words)
{
	char text[CACHE_SPEC_DISK_SIZE];
	json_t *request = action_request("add");
	int status = words->count == 2 ? set_position(request, "position", words->words[0]) : 0;
	if (status == 0)
		status = level_text(words->words[words->count - 1], words->medium, text);
	if (status == 0)
		json_object_set_new(request, "level", json_string(text));
	return unless_wrong(request, status);
}

static json_t *
request_remove(const struct words *words)
{
	json_t *request = action_request("remove");
	return unless_wrong(request, set_position(request, "position", words->words[0]));
}

// ${key}=${value} into ${values}. Returns 0, or -1 and it was said.
static int
set_value(json_t *values, const char *key, const char *value)
{
	struct level_config level = { .size = 0 };
	char why[256];
	if (cache_spec_set(&level, key, value, why, sizeof why) == 0)
		return json_object_set_new(values, key, json_string(value));
	command_usage(&command_cache, "%s=%s: %s", key, value, why);
	return -1;
}

static json_t *
request_resize(const struct words *words)
{
	json_t *request = action_request("set"), *values = json_object();
	int status = set_position(request, "position", words->words[0]);
	if (status == 0)
		status = set_value(values, "size", words->words[1]);
	json_object_set_new(request, "values", values);
	return unless_wrong(request, status);
}

static int
set_pair(json_t *values, const char *word)
{
	char key[64];
	size_t size = strcspn(word, "=");
	if (word[size] == '\0' || size == 0 || size >= sizeof key) {
		command_usage(&command_cache, "%s: right would be size=SIZE, ways=N, hash=NAME or policy=NAME", word);
		return -1;
	}
	memcpy(key, word, size);
	key[size] = '\0';
	return set_value(values, key, word + size + 1);
}

static json_t *
request_set(const struct words *words)
{
	json_t *request = action_request("set"), *values = json_object();
	int status = set_position(request, "position", words->words[0]);
	for (int i = 1; status == 0 && i < words->count; i++)
		status = set_pair(values, words->words[i]);
	json_object_set_new(request, "values", values);
	return unless_wrong(request, status);
}

static json_t *
request_move(const struct words *words)
{
	char path[PATH_MAX] = "mem";
	json_t *request = action_request("move");
	int status = set_position(request, "from", words->words[0]);
	if (status == 0 && ((words->medium != NULL) == (words->count == 2) || (words->medium != NULL && words->medium[0] == '\0'))) {
		command_usage(&command_cache, "right would be move FROM TO, or move FROM --medium PATH, or --medium mem");
		status = -1;
	}
	if (status == 0 && words->medium == NULL)
		status = set_position(request, "to", words->words[1]);
	if (status == 0 && words->medium != NULL && strcmp(words->medium, "mem") != 0)
		status = absolute_path(words->medium, path);
	if (status == 0 && words->medium != NULL)
		json_object_set_new(request, "medium", json_string(path));
	return unless_wrong(request, status);
}

// VOLUME and a RANGE that may be missing.
static json_t *
request_range(const char *action, const struct words *words)
{
	json_t *request = action_request(action);
	uint64_t begin = 0, end = RANGE_TO_END;
	char why[256];
	int status = json_object_set_new(request, "volume", json_string(words->words[0]));
	if (status != 0)
		command_usage(&command_cache, "%s: a volume's name is UTF-8", words->words[0]);
	if (status == 0 && words->count > 1 && range_parse(words->words[1], &begin, &end, why, sizeof why) != 0) {
		command_usage(&command_cache, "%s: %s", words->words[1], why);
		status = -1;
	}
	json_object_set_new(request, "begin", json_integer((json_int_t)begin));
	if (end != RANGE_TO_END)
		json_object_set_new(request, "end", json_integer((json_int_t)end));
	return unless_wrong(request, status);
}

static json_t *
request_advise(const struct words *words)
{
	return action_request("advise");
}

static json_t *
request_warm(const struct words *words)
{
	return request_range("warm", words);
}

static json_t *
request_pin(const struct words *words)
{
	return request_range("pin", words);
}

static json_t *
request_unpin(const struct words *words)
{
	return request_range("unpin", words);
}

// ---- Answers ----

static uint64_t
number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value < 0 ? 0 : (uint64_t)value;
}

static void
print_list(const struct words *words, const struct control *control, const json_t *answer)
{
	if (words->as_json) {
		fputs(control->line, stdout);
		return;
	}
	cache_table_print(json_object_get(answer, "cache"), "");
	cache_table_print_memory(json_object_get(answer, "memory"));
}

static void
print_stack(const struct words *words, const struct control *control, const json_t *answer)
{
	const char *cache = json_string_value(json_object_get(answer, "cache"));
	printf("cache: %s\n", cache != NULL ? cache : "-");
}

static void
print_curve(const json_t *curve, uint64_t now)
{
	static const char bar[] = "##################################################";
	char size[UNITS_TEXT_SIZE];
	size_t index;
	const json_t *point;
	json_array_foreach(curve, index, point) {
		double ratio = json_number_value(json_object_get(point, "hit_ratio"));
		printf("  %6s  %5.1f%%  %.*s%s\n", units_print_size_short(number(point, "size"), size), 100 * ratio,
		       (int)(ratio * (double)strlen(bar)), bar, index == now ? "  <- now" : "");
	}
}

static void
print_advice(const struct words *words, const struct control *control, const json_t *answer)
{
	char size[UNITS_TEXT_SIZE];
	if (words->as_json) {
		fputs(control->line, stdout);
		return;
	}
	uint64_t now = number(answer, "now"), level_size = number(answer, "level_size");
	const json_t *curve = json_object_get(answer, "curve");
	const char *advice = json_string_value(json_object_get(answer, "advice"));
	print_curve(curve, now);
	printf("%s\n", advice != NULL ? advice : "-");
	if (number(answer, "size") != number(json_array_get(curve, now), "size") && level_size >= 1 << 20)
		printf("  hvfs cache resize %llu %s\n", (unsigned long long)number(answer, "level"), units_print_size(level_size, size));
	const json_t *disk = json_object_get(answer, "disk");
	if (json_is_object(disk))
		printf("That is about memory. With the level on a disk, %s, about %.1f%% of all uses need not go to the parent.\n",
		       units_print_size_short(number(disk, "size"), size), 100 * json_number_value(json_object_get(disk, "hit_ratio")));
}

static void
print_warmed(const struct words *words, const struct control *control, const json_t *answer)
{
	char size[UNITS_TEXT_SIZE], fits[UNITS_TEXT_SIZE];
	uint64_t warmed = number(answer, "warmed"), cache = number(answer, "size");
	printf("%s read", units_print_size_short(warmed, size));
	if (warmed > cache)
		printf("; that is more than the cache has room for, %s", units_print_size_short(cache, fits));
	putchar('\n');
}

static void
print_pinned(const struct words *words, const struct control *control, const json_t *answer)
{
	printf("%llu blocks are pinned\n", (unsigned long long)number(answer, "pinned"));
}

static double
seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void
draw_warming(struct progress *progress, double since, const json_t *answer)
{
	uint64_t done = number(answer, "done"), total = number(answer, "total");
	double passed = seconds() - since, rate = passed > 0 ? (double)done / passed : 0;
	char have[UNITS_TEXT_SIZE], all[UNITS_TEXT_SIZE], each[UNITS_TEXT_SIZE], left[UNITS_TEXT_SIZE] = "-", text[160];
	if (rate >= 1)
		units_print_duration((uint64_t)((double)(total - done) / rate * 1000), left);
	snprintf(text, sizeof text, "%s of %s, %s/s, %s left", units_print_size_short(done, have), units_print_size_short(total, all),
		 units_print_size_short((uint64_t)rate, each), left);
	progress_draw(progress, total > 0 ? (double)done / (double)total : 1, text);
}

static void
draw_change(struct progress *progress, const json_t *answer)
{
	json_int_t left = json_integer_value(json_object_get(answer, "moving"));
	json_int_t total = json_integer_value(json_object_get(answer, "moving_total"));
	char text[64];
	bool opens = json_object_get(answer, "phase") != NULL;
	snprintf(text, sizeof text, opens ? "being opened, %lld records left" : "%lld blocks left", (long long)left);
	progress_draw(progress, total > 0 ? 1 - (double)left / (double)total : 1, text);
}

// Whether ${answer} tells of progress, which is drawn, and is not the last.
static bool
draw(struct progress *progress, double since, const json_t *answer)
{
	if (json_object_get(answer, "moving") != NULL)
		draw_change(progress, answer);
	else if (json_object_get(answer, "done") != NULL)
		draw_warming(progress, since, answer);
	else
		return false;
	return true;
}

// ---- All actions ----

#define ACTION_NAMES "list, add, remove, resize, set, move, advise, warm, pin or unpin"

static const struct action actions[] = {
	{ "list", "[--json]", 0, 0, true, false, request_list, print_list },
	{ "add", "[POSITION] LEVEL [--medium PATH]", 1, 2, false, true, request_add, print_stack },
	{ "remove", "POSITION", 1, 1, false, false, request_remove, print_stack },
	{ "resize", "POSITION SIZE", 2, 2, false, false, request_resize, print_stack },
	{ "set", "POSITION KEY=VALUE...", 2, WORDS_MAX, false, false, request_set, print_stack },
	{ "move", "FROM TO, or FROM --medium PATH", 1, 2, false, true, request_move, print_stack },
	{ "advise", "[--json]", 0, 0, true, false, request_advise, print_advice },
	{ "warm", "VOLUME [RANGE]", 1, 2, false, false, request_warm, print_warmed },
	{ "pin", "VOLUME RANGE", 2, 2, false, false, request_pin, print_pinned },
	{ "unpin", "VOLUME RANGE", 2, 2, false, false, request_unpin, print_pinned },
};

enum { ACTION_COUNT = sizeof actions / sizeof *actions };

// Send the request and wait for what ends it: all that is no progress. Returns 0, or -1.
static int
perform(const struct action *action, const struct words *words, struct control *control, json_t *request)
{
	struct progress progress;
	double since = seconds();
	json_t *answer;
	if (control_ask(control, request) != 0)
		return -1;
	progress_begin(&progress);
	while ((answer = control_receive(control)) != NULL && draw(&progress, since, answer))
		json_decref(answer);
	progress_end(&progress);
	if (answer == NULL)
		return -1;
	action->print(words, control, answer);
	json_decref(answer);
	return 0;
}

static int
run_action(const struct action *action, const struct words *words)
{
	struct control control;
	int status = EXIT_DONE;
	json_t *request = action->request(words);
	if (request == NULL)
		return EXIT_USAGE;
	if (control_open(&control, words->control) != 0) {
		json_decref(request);
		status = command_fail(&command_cache, "%s", control.error);
	} else if (perform(action, words, &control, request) != 0) {
		status = command_fail(&command_cache, "%s: %s", action->name, control.error);
	}
	control_close(&control);
	return status;
}

static const struct action *
find_action(const char *name)
{
	for (size_t i = 0; i < ACTION_COUNT; i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

static int
read_words(const struct action *action, int argc, char **argv, struct words *words)
{
	enum { FLAG_CONTROL, FLAG_JSON, FLAG_MEDIUM };
	static const struct arg_flag flags[] = { { "control", 0, true }, { "json", 0, false }, { "medium", 0, true }, { .name = NULL } };
	const char *value;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_cache, "%s", args.error);
		if (flag == FLAG_JSON && !action->may_json)
			return command_usage(&command_cache, "--json: not with %s", action->name);
		if (flag == FLAG_MEDIUM && !action->may_medium)
			return command_usage(&command_cache, "--medium: not with %s", action->name);
		if (flag == ARGS_WORD && words->count == action->words_max)
			return command_usage(&command_cache, "%s: too much; right would be %s %s", value, action->name, action->usage);
		if (flag == ARGS_WORD)
			words->words[words->count++] = value;
		else if (flag == FLAG_JSON)
			words->as_json = true;
		else if (flag == FLAG_MEDIUM)
			words->medium = value;
		else
			words->control = value;
	}
	if (words->count < action->words_min)
		return command_usage(&command_cache, "something is missing; right would be %s %s", action->name, action->usage);
	return EXIT_DONE;
}

static int
cache_run(int argc, char **argv)
{
	const struct action *action = argc > 0 ? find_action(argv[0]) : NULL;
	struct words words = { .control = NULL };
	if (argc == 0 || argv[0][0] == '-')
		return command_usage(&command_cache, "what is to be done is missing: " ACTION_NAMES);
	if (action == NULL)
		return command_usage(&command_cache, "%s: right would be " ACTION_NAMES, argv[0]);
	if (argc > 1 && args_is_help(argv[1])) {
		command_print_help(&command_cache);
		return EXIT_DONE;
	}
	int status = read_words(action, argc - 1, argv + 1, &words);
	return status == EXIT_DONE ? run_action(action, &words) : status;
}

const struct command command_cache = {
	.name = "cache",
	.usage = "cache ACTION [ARGUMENTS] [--control PATH]",
	.summary = "show and change the cache of a running node",
	.help = "The cache is a stack of levels; 0 is the top. Changes are made while the node is used, and no request fails.\n"
		"Where many blocks have to move, a bar on a terminal shows how far it is; the change goes on without this command.\n"
		"Prints the cache as it is then, as 'hvfs serve --cache' takes it: changes are not kept when the node ends.\n\n"
		"  list [--json]           levels: size, ways, hash, policy, and how they were used\n"
		"  add [POSITION] LEVEL    a new level at POSITION, those from there on go down; or below the others. LEVEL is\n"
		"                          mem:SIZE[,ways=N][,hash=NAME][,policy=NAME], or one for the lowest, if there is none:\n"
		"                          disk:PATH:SIZE[,ways=N][,hash=NAME][,policy=NAME][,block=SIZE]\n"
		"  add SIZE[,...] --medium PATH\n"
		"                          the same as disk:PATH:SIZE[,...]\n"
		"  remove POSITION         its blocks go down a level, from the lowest up, as far as there is room. The file of one\n"
		"                          on a disk stays: added again, also after it has failed, it has its blocks\n"
		"  resize POSITION SIZE\n"
		"  set POSITION KEY=VALUE...\n"
		"                          size, ways, hash (neighbours, xxh, murmur, fibonacci, modulo), policy (lru, s3fifo,\n"
		"                          adaptive)\n"
		"  move FROM TO            the level at FROM is at TO from now on, with all that is in it\n"
		"  move FROM --medium PATH, or --medium mem\n"
		"                          it goes to a disk, to another one, or to memory\n"
		"  advise [--json]         what share of uses other sizes would serve, and what to change\n"
		"  warm VOLUME [RANGE]     read it into the cache; RANGE is FROM-TO or FROM-, in bytes\n"
		"  pin VOLUME RANGE        its blocks stay, once they are here, until unpinned as often\n"
		"  unpin VOLUME RANGE\n\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = cache_run,
};
