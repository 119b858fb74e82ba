// SPDX-License-Identifier: MIT
// The simulator's command line. Each seed runs in a process of its own, so that a crash of one does not hide the
// others.
#include "core/check.h"
#include "tests/sim/run.h"
#include "tests/sim/totals.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const bug_names[BUG_COUNT] = {
	[BUG_NONE] = "none",
	[BUG_ANSWER_BEFORE_DROP] = "answer-before-drop",
	[BUG_GRANT_BEFORE_RECALL] = "grant-before-recall",
	[BUG_NO_CROSSING_DATA] = "no-crossing-data",
	[BUG_GRANT_OVER_RECALL] = "grant-over-recall",
	[BUG_CLEAN_ON_GRANT] = "clean-on-grant",
	[BUG_SKIP_LEASE] = "skip-lease",
	[BUG_BARRIER_EARLY] = "barrier-early",
};

static const char *const break_names[BREAK_COUNT] = {
	[BREAK_NOTHING] = "nothing",     [BREAK_GRACE] = "grace", [BREAK_EPOCH] = "epoch",
	[BREAK_EVICTIONS] = "evictions", [BREAK_SYNC] = "sync",   [BREAK_CLOCKS] = "clocks",
	[BREAK_SINCE] = "since",         [BREAK_RECLAIMS] = "reclaims",
	[BREAK_VERSIONS] = "versions",   [BREAK_JOURNAL] = "journal",
	[BREAK_AUTHOR] = "author",       [BREAK_SHARED] = "shared",
	[BREAK_SEALS] = "seals",         [BREAK_AGE] = "age",
	[BREAK_PROOFS] = "proofs",       [BREAK_TIES] = "ties",
};

enum { LISTED_MAX = 1000 };

struct options {
	struct plan_options plan;
	uint64_t first, count;
	uint64_t listed[LISTED_MAX]; // run after those
	size_t listed_count;
	bool trace;  // print it
	bool traced; // make it
	bool twice; // run each seed twice: the traces must be equal
	bool apart; // the run is not one of those that are counted
	bool find;  // the bug must be found: succeed at the first seed that fails only with it
	int jobs;
	uint64_t hours;        // run seeds until together they have simulated so many tree hours
	uint64_t failures_max; // then stop
};

static void
usage(void)
{
	fprintf(stderr,
		"usage: sim [--seed N | --seeds FROM:COUNT] [--list FILE] [--nodes N] [--faults none|all] "
		"[--trace] [--twice] [--reshape]\n"
		"           [--bug NAME [--find]] [--jobs N] [--hours TREE-HOURS] [--keep-going FAILURES]\n"
		"           [--byzantine | --sealed]\n"
		"           [--recovery [--crash-loop] [--disk-level] [--journal [--rot]] [--fair yes|no] [--only KINDS | --off KINDS] [--break THING [--find]]]\nbugs:");
	for (int i = 1; i < BUG_COUNT; i++)
		fprintf(stderr, " %s", bug_names[i]);
	fprintf(stderr, "\nthings to break:");
	for (int i = 1; i < BREAK_COUNT; i++)
		fprintf(stderr, " %s", break_names[i]);
	fprintf(stderr, "\nkinds of faults:");
	for (int i = 0; i < CHAOS_COUNT; i++)
		fprintf(stderr, " %s", chaos_name((enum chaos_kind)i));
	fprintf(stderr, "\n");
	exit(2);
}

static enum world_break
break_parse(const char *text)
{
	for (int i = 0; i < BREAK_COUNT; i++)
		if (strcmp(text, break_names[i]) == 0)
			return (enum world_break)i;
	fprintf(stderr, "sim: nobody knows how to break '%s'\n", text);
	usage();
	return BREAK_NOTHING;
}

static enum core_bug
bug_parse(const char *text)
{
	for (int i = 0; i < BUG_COUNT; i++)
		if (strcmp(text, bug_names[i]) == 0)
			return (enum core_bug)i;
	fprintf(stderr, "sim: no bug is called '%s'\n", text);
	usage();
	return BUG_NONE;
}

// A list of fault kinds, separated by commas: one bit each.
static uint32_t
kinds_parse(const char *list)
{
	uint32_t kinds = 0;

	for (const char *at = list; *at != '\0'; at += strcspn(at, ","), at += *at == ',') {
		size_t size = strcspn(at, ",");
		uint32_t before = kinds;

		for (int i = 0; i < CHAOS_COUNT; i++)
			if (strlen(chaos_name((enum chaos_kind)i)) == size &&
			    memcmp(chaos_name((enum chaos_kind)i), at, size) == 0)
				kinds |= UINT32_C(1) << i;
		if (kinds == before) {
			fprintf(stderr, "sim: no kind of fault is called '%.*s'\n", (int)size, at);
			usage();
		}
	}
	return kinds;
}

static void
print_line(void *arg, enum trace_kind kind, const char *line)
{
	puts(line);
}

// Take the seeds of a file: a number starts a line, the rest tells about it; '#' starts a comment.
static void
list_read(struct options *options, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[512];

	if (file == NULL) {
		fprintf(stderr, "sim: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	while (fgets(line, sizeof line, file) != NULL) {
		char *end;
		uint64_t seed = strtoull(line, &end, 10);

		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (end == line || options->listed_count == LISTED_MAX) {
			fprintf(stderr, "sim: %s: not a seed, or more than %d: %s", path, LISTED_MAX, line);
			exit(2);
		}
		options->listed[options->listed_count++] = seed;
	}
	fclose(file);
}

// The options that a failure report names, besides the seed.
static void
replay_set(const struct options *options)
{
	const struct plan_options *plan = &options->plan;
	char text[400];
	int used = snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s%s%s%s%s%s%s", plan->recovery ? " --recovery" : "",
			    plan->crash_loop ? " --crash-loop" : "",
			    plan->byzantine ? " --byzantine" : "", plan->sealed ? " --sealed" : "",
			    plan->disk_level ? " --disk-level" : "", plan->journal ? " --journal" : "",
			    plan->rot ? " --rot" : "", plan->reshape ? " --reshape" : "",
			    plan->broken != BREAK_NOTHING ? " --break " : "",
			    plan->broken != BREAK_NOTHING ? break_names[plan->broken] : "",
			    plan->bug != BUG_NONE ? " --bug " : "", plan->bug != BUG_NONE ? bug_names[plan->bug] : "",
			    plan->faults < 0   ? " --faults none"
			    : plan->faults > 0 ? " --faults all"
					       : "",
			    plan->fair == 0  ? ""
			    : plan->fair < 0 ? " --fair yes"
					     : " --fair no");

	if (plan->nodes > 0)
		used += snprintf(text + used, sizeof text - (size_t)used, " --nodes %d", plan->nodes);
	for (int kind = 0, first = 1; kind < CHAOS_COUNT; kind++) {
		if ((plan->kinds_off >> kind & 1) == (plan->aborts || plan->rights))
			continue;
		used += snprintf(text + used, sizeof text - (size_t)used, "%s%s",
				 !first ? "," : plan->aborts || plan->rights ? " --only " : " --off ", chaos_name((enum chaos_kind)kind));
		first = 0;
	}
	setenv("SIM_REPLAY_OPTIONS", text, 1);
}

// One seed in this process.
static void
seed_run(const struct options *options, uint64_t seed)
{
	static struct plan plan;
	uint64_t hash;

	replay_set(options);
	plan_draw(seed, &options->plan, &plan);
	hash = run_plan(&plan, options->traced, options->trace ? print_line : NULL);
	if (options->twice && run_plan(&plan, options->traced, NULL) != hash) {
		fprintf(stderr, "FAILED: seed %" PRIu64 " gave two different traces\n", seed);
		exit(1);
	}
	if (getenv("SIM_HASH") != NULL)
		printf("seed %" PRIu64 " hash %016" PRIx64 "\n", seed, hash);
}

// The same in a child process. Returns its id.
static pid_t
seed_start(const struct options *options, uint64_t seed, bool silent)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("sim: fork");
		exit(2);
	}
	if (pid > 0)
		return pid;
	if (silent) {
		int fd = open("/dev/null", O_WRONLY);

		dup2(fd, STDERR_FILENO);
		dup2(fd, STDOUT_FILENO);
	}
	if (options->apart)
		totals_init();
	seed_run(options, seed);
	exit(0);
}

static bool
seed_passes(const struct options *options, uint64_t seed)
{
	int status;

	waitpid(seed_start(options, seed, true), &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// The test of the tests: with the bug some seed fails which passes without it.
static int
bug_find(const struct options *options)
{
	const char *what =
		options->plan.bug != BUG_NONE ? bug_names[options->plan.bug] : break_names[options->plan.broken];
	struct options healthy = *options;

	healthy.plan.bug = BUG_NONE;
	healthy.plan.broken = BREAK_NOTHING;
	for (uint64_t seed = options->first; seed < options->first + options->count; seed++) {
		if (!seed_passes(options, seed) && seed_passes(&healthy, seed)) {
			printf("%s is found by seed %" PRIu64 "\n", what, seed);
			return 0;
		}
	}
	fprintf(stderr, "FAILED: %s is not found by %" PRIu64 " seeds from %" PRIu64 "\n", what, options->count,
		options->first);
	return 1;
}

// A seed has failed without a trace: the same again shows it.
static void
seed_repeat(const struct options *options, uint64_t seed)
{
	struct options traced = *options;
	int status;
	pid_t pid;

	traced.traced = traced.apart = true;
	fprintf(stderr, "seed %" PRIu64 " again, with its trace:\n", seed);
	pid = seed_start(&traced, seed, false);
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		fprintf(stderr, "FAILED: seed %" PRIu64 " failed, and with its trace it did not\n", seed);
}

// A seed that runs in a child process.
struct job {
	pid_t pid;
	uint64_t seed;
};

// Wait until one of the ${running} jobs has ended. Has it passed?
static bool
wait_one(const struct options *options, struct job *jobs, int *running)
{
	int status, i = 0;
	pid_t pid = wait(&status);
	uint64_t seed;

	CHECK(pid > 0);
	while (jobs[i].pid != pid)
		i++;
	seed = jobs[i].seed;
	jobs[i] = jobs[--*running];
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (!options->traced)
		seed_repeat(options, seed);
	return false;
}

// Is there another seed to run, after ${begun} of them?
static bool
seeds_left(const struct options *options, uint64_t begun)
{
	if (options->hours > 0)
		return totals_time() < options->hours * UINT64_C(3600000000);
	return begun < options->count + options->listed_count;
}

static uint64_t
seed_number(const struct options *options, uint64_t i)
{
	bool listed = options->hours == 0 && i >= options->count;

	return listed ? options->listed[i - options->count] : options->first + i;
}

static int
seeds_run(const struct options *options)
{
	struct job *jobs = calloc((size_t)options->jobs, sizeof *jobs);
	uint64_t failed = 0, begun = 0;
	int running = 0;

	CHECK(jobs != NULL);
	for (; failed < options->failures_max && seeds_left(options, begun); begun++) {
		uint64_t seed = seed_number(options, begun);

		if (running == options->jobs)
			failed += !wait_one(options, jobs, &running);
		jobs[running++] = (struct job){seed_start(options, seed, false), seed};
	}
	while (running > 0)
		failed += !wait_one(options, jobs, &running);
	free(jobs);
	printf("seeds from %" PRIu64 " and %zu listed%s\n", options->first, options->listed_count,
	       failed >= options->failures_max ? "; stopped after too many failures" : "");
	totals_print(stdout, begun, failed, options->plan.recovery);
	return failed > 0;
}

static const struct option option_names[] = {
	{"seed", required_argument, NULL, 's'},
	{"seeds", required_argument, NULL, 'S'},
	{"nodes", required_argument, NULL, 'n'},
	{"trace", no_argument, NULL, 't'},
	{"bug", required_argument, NULL, 'b'},
	{"faults", required_argument, NULL, 'f'},
	{"find", no_argument, NULL, 'F'},
	{"twice", no_argument, NULL, '2'},
	{"recovery", no_argument, NULL, 'r'},
	{"crash-loop", no_argument, NULL, 'c'},
	{"disk-level", no_argument, NULL, 'd'},
	{"journal", no_argument, NULL, 'J'},
	{"rot", no_argument, NULL, 'D'},
	{"off", required_argument, NULL, 'o'},
	{"only", required_argument, NULL, 'O'},
	{"fair", required_argument, NULL, 'a'},
	{"break", required_argument, NULL, 'B'},
	{"hours", required_argument, NULL, 'h'},
	{"keep-going", required_argument, NULL, 'k'},
	{"jobs", required_argument, NULL, 'j'},
	{"list", required_argument, NULL, 'l'},
	{"reshape", no_argument, NULL, 'R'},
	{"byzantine", no_argument, NULL, 'y'},
	{"sealed", no_argument, NULL, 'E'},
	{0},
};

static struct options
options_parse(int argc, char **argv)
{
	struct options options = {.first = 1, .count = 1, .jobs = 1, .failures_max = 3};
	int option;

	while ((option = getopt_long(argc, argv, "", option_names, NULL)) != -1) {
		switch (option) {
		case 's':
			options.first = strtoull(optarg, NULL, 10);
			break;
		case 'S':
			if (sscanf(optarg, "%" SCNu64 ":%" SCNu64, &options.first, &options.count) != 2)
				usage();
			break;
		case 'n':
			options.plan.nodes = atoi(optarg);
			break;
		case 't':
			options.trace = true;
			break;
		case 'b':
			options.plan.bug = bug_parse(optarg);
			break;
		case 'f':
			options.plan.faults = strcmp(optarg, "none") == 0 ? -1 : 1;
			break;
		case 'F':
			options.find = true;
			break;
		case '2':
			options.twice = true;
			break;
		case 'l':
			list_read(&options, optarg);
			break;
		case 'r':
			options.plan.recovery = true;
			break;
		case 'c':
			options.plan.crash_loop = options.plan.recovery = true;
			break;
		case 'd':
			options.plan.disk_level = true;
			break;
		case 'J':
		case 'D':
			options.plan.journal = options.plan.recovery = true;
			options.plan.rot |= option == 'D';
			break;
		case 'y':
			options.plan.byzantine = options.plan.recovery = true;
			break;
		case 'E':
			options.plan.sealed = options.plan.recovery = true;
			break;
		case 'R':
			options.plan.reshape = true;
			break;
		case 'o':
			options.plan.kinds_off = kinds_parse(optarg);
			break;
		case 'O':
			options.plan.kinds_off = ~kinds_parse(optarg);
			options.plan.aborts = !(options.plan.kinds_off >> CHAOS_ABORT & 1);
			options.plan.rights = !(options.plan.kinds_off >> CHAOS_RIGHT & 1);
			break;
		case 'a':
			options.plan.fair = strcmp(optarg, "yes") == 0 ? -1 : 1;
			break;
		case 'h':
			options.hours = strtoull(optarg, NULL, 10);
			break;
		case 'k':
			options.failures_max = strtoull(optarg, NULL, 10);
			break;
		case 'B':
			options.plan.broken = break_parse(optarg);
			break;
		case 'j':
			options.jobs = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind < argc || options.jobs < 1 || options.plan.nodes < 0 || options.plan.nodes > PLAN_NODES_MAX)
		usage();
	return options;
}

int
main(int argc, char **argv)
{
	struct options options = options_parse(argc, argv);
	bool many;

	// Each of the many cores would have its own huge pages cleared, to use some kilobytes of each.
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	totals_init();
	// The trace is an eighth of the work, and of a run that passes nobody reads it.
	many = options.find || options.hours > 0 || options.count + options.listed_count > 1;
	options.traced = !many || options.trace || options.twice || getenv("SIM_HASH") != NULL;
	if (options.find)
		return bug_find(&options);
	if (many)
		return seeds_run(&options);
	seed_run(&options, options.first);
	printf("seed %" PRIu64 " passed\n", options.first);
	return 0;
}
