// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/cache_table.h"
#include "cli/command.h"
#include "cli/control.h"
#include "node/units.h"

#include <string.h>

static uint64_t
number(const json_t *object, const char *key)
{
	json_int_t value = json_integer_value(json_object_get(object, key));
	return value < 0 ? 0 : (uint64_t)value;
}

static const char *
string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "-";
}

static const char *
lease(const json_t *object, char text[UNITS_TEXT_SIZE])
{
	const json_t *ms = json_object_get(object, "lease_ms");
	if (!json_is_integer(ms) || json_integer_value(ms) < 0)
		return "none";
	return units_print_duration(number(object, "lease_ms"), text);
}

static void
print_ancestors(const json_t *ancestors)
{
	size_t index;
	const json_t *ancestor;
	json_array_foreach(ancestors, index, ancestor)
		printf("%s%s", index == 0 ? "  above it  " : ", ", json_string_value(ancestor));
	if (json_array_size(ancestors) > 0)
		putchar('\n');
}

static void
print_parent(const json_t *parent)
{
	char text[UNITS_TEXT_SIZE];
	if (!json_is_object(parent))
		return;
	if (strcmp(string(parent, "state"), "store") == 0)
		printf("  store     %s\n", string(parent, "addr"));
	else
		printf("  parent    %-24s %-12s lease %s\n", string(parent, "addr"), string(parent, "state"), lease(parent, text));
	if (json_is_true(json_object_get(parent, "is_other")))
		printf("            instead of %s\n", string(parent, "configured"));
	if (json_object_get(parent, "away_ms") != NULL)
		printf("            away for %s\n", units_print_duration(number(parent, "away_ms"), text));
	print_ancestors(json_object_get(parent, "ancestors"));
}

static void
print_children(const json_t *children)
{
	char text[UNITS_TEXT_SIZE];
	size_t index;
	const json_t *child;
	json_array_foreach(children, index, child) {
		printf("  child     %-24s %-12s lease %-8s reads %llu, writes %llu blocks  (%s)\n", string(child, "name"),
		       string(child, "phase"), lease(child, text), (unsigned long long)number(child, "blocks_read"),
		       (unsigned long long)number(child, "blocks_write"), string(child, "addr"));
		if (string(child, "peer")[0] != '\0')
			printf("            as %s%s%s: %s\n", string(child, "peer"), string(child, "label")[0] != '\0' ? ", " : "",
			       string(child, "label"), string(child, "right"));
		if (strcmp(string(child, "state"), "connected") != 0)
			printf("            away for %s, %llu blocks are frozen\n", units_print_duration(number(child, "phase_ms"), text),
			       (unsigned long long)number(child, "blocks_frozen"));
	}
}

static void
print_rescued(const json_t *rescued)
{
	char text[UNITS_TEXT_SIZE];
	if (number(rescued, "bytes") > 0)
		printf("  rescued   %s that could not be brought to the root, last in %s\n",
		       units_print_size_short(number(rescued, "bytes"), text), string(rescued, "file"));
}

static void
print_phase(const json_t *volume)
{
	char time[UNITS_TEXT_SIZE], unstable[UNITS_TEXT_SIZE];
	printf("  phase     %s, for %s; %s on the way to stable storage, %llu requests wait\n", string(volume, "phase"),
	       units_print_duration(number(volume, "phase_ms"), time),
	       units_print_size_short(number(volume, "unstable_bytes"), unstable),
	       (unsigned long long)number(volume, "waiting"));
}

static void
print_news(const json_t *news)
{
	char time[UNITS_TEXT_SIZE];

	if (news == NULL)
		return;
	if (json_is_true(json_object_get(news, "current")))
		printf("  news      of the root, of %s ago\n", units_print_duration(number(news, "heard_ms"), time));
	else if (json_integer_value(json_object_get(news, "heard_ms")) < 0)
		printf("  news      none of the root yet: nothing is read before\n");
	else
		printf("  news      none of the root for %s, which is longer than its lease: nothing is read or written until there are some\n",
		       units_print_duration(number(news, "heard_ms"), time));
	if (number(news, "outdated") > 0)
		printf("            %llu blocks were not the newest when they came: somebody above gives out old ones\n",
		       (unsigned long long)number(news, "outdated"));
}

static const char *
print_us(uint64_t us, char text[UNITS_TEXT_SIZE])
{
	if (us < 1000)
		snprintf(text, UNITS_TEXT_SIZE, "%lluus", (unsigned long long)us);
	else if (us < 1000000)
		snprintf(text, UNITS_TEXT_SIZE, "%.3gms", (double)us / 1e3);
	else
		snprintf(text, UNITS_TEXT_SIZE, "%.3gs", (double)us / 1e6);
	return text;
}

static void
print_latency(const json_t *latency, const char *key)
{
	char half[UNITS_TEXT_SIZE], most[UNITS_TEXT_SIZE];
	const json_t *one = json_object_get(latency, key);
	if (number(one, "count") > 0)
		printf("  %-9s %llu; half of them took %s at most, 99%% %s\n", key, (unsigned long long)number(one, "count"),
		       print_us(number(one, "p50_us"), half), print_us(number(one, "p99_us"), most));
}

static void
print_volume(const json_t *volume)
{
	char size[UNITS_TEXT_SIZE], block[UNITS_TEXT_SIZE], dirty[UNITS_TEXT_SIZE];
	const json_t *latency = json_object_get(volume, "latency");
	printf("volume %s  %s  %s in blocks of %s, %s dirty\n", string(volume, "name"), string(volume, "role"),
	       units_print_size_short(number(volume, "size"), size), units_print_size_short(number(volume, "block_size"), block),
	       units_print_size_short(number(volume, "dirty_bytes"), dirty));
	print_phase(volume);
	print_parent(json_object_get(volume, "parent"));
	print_news(json_object_get(volume, "news"));
	if (json_is_string(json_object_get(volume, "at_rest")))
		printf("  at rest   %s%s\n", string(volume, "at_rest"),
		       number(volume, "damaged_blocks") > 0 ? "; blocks were read there that are not as they were written (see the log)" : "");
	print_children(json_object_get(volume, "children"));
	print_latency(latency, "read");
	print_latency(latency, "write");
	print_latency(latency, "fsync");
	print_rescued(json_object_get(volume, "rescued"));
}

static void
print_status(const json_t *status)
{
	size_t index;
	const json_t *volume;
	const json_t *directory = json_object_get(status, "directory"), *volumes = json_object_get(status, "volumes");
	printf("node %s\n", string(status, "node"));
	if (json_is_string(json_object_get(status, "fingerprint")))
		printf("key         %s\n", string(status, "fingerprint"));
	if (number(directory, "records") > 0)
		printf("directory   %llu blocks are with children, the limit is %llu; %llu are being taken back\n",
		       (unsigned long long)number(directory, "records"), (unsigned long long)number(directory, "limit"),
		       (unsigned long long)number(directory, "recalled"));
	cache_table_print_memory(json_object_get(status, "memory"));
	cache_table_print(json_object_get(json_array_get(volumes, 0), "cache"), "  "); // one for all volumes
	json_array_foreach(volumes, index, volume)
		print_volume(volume);
}

static int
ask(struct control *control, bool as_json)
{
	if (control_send(control, "status", NULL, NULL) != 0)
		return -1;
	json_t *status = control_receive(control);
	if (status == NULL)
		return -1;
	if (as_json)
		fputs(control->line, stdout);
	else
		print_status(status);
	json_decref(status);
	return 0;
}

static int
status_run(int argc, char **argv)
{
	enum { FLAG_CONTROL, FLAG_JSON };
	static const struct arg_flag flags[] = { { "control", 0, true }, { "json", 0, false }, { .name = NULL } };
	const char *path = NULL, *value;
	bool as_json = false;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_status, "%s", args.error);
		if (flag == ARGS_WORD)
			return command_usage(&command_status, "%s: not expected; a node is named by --control PATH", value);
		if (flag == FLAG_JSON)
			as_json = true;
		else
			path = value;
	}
	struct control control;
	int status = EXIT_DONE;
	if (control_open(&control, path) != 0 || ask(&control, as_json) != 0)
		status = command_fail(&command_status, "%s", control.error);
	control_close(&control);
	return status;
}

const struct command command_status = {
	.name = "status",
	.usage = "status [--json] [--control PATH]",
	.summary = "show a node: volumes, parent, children, leases, caches, dirty bytes",
	.help = "  --json          one JSON object, whose keys are stable (more may come)\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = status_run,
};
