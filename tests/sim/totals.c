// SPDX-License-Identifier: MIT
#include "tests/sim/totals.h"

#include "core/check.h"
#include "tests/sim/run.h"

#include <inttypes.h>
#include <sys/mman.h>

#define HOUR_US UINT64_C(3600000000)

struct totals {
	uint64_t time_us, host_time_us, steps, operations, faults, fair_runs;
	uint64_t kinds[CHAOS_COUNT], errors[ERR_COUNT];
	uint64_t longest_us[2],
		longest_percent[2]; // that a request took, also in percent of a lease; unfair runs, fair ones
	uint64_t restarts, evictions, rescues, moves, reads, writes, claims;
	uint64_t loaded, confirmed, damaged; // blocks of disks below caches
	uint64_t lies[LIAR_LIE_COUNT], refused[SEALS_REFUSAL_COUNT];
	uint64_t kept, full, records, found, torn, failures; // of journals
};

static struct totals *totals;

void
totals_init(void)
{
	totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(totals != MAP_FAILED);
}

static void
add(uint64_t *sum, uint64_t number)
{
	__atomic_fetch_add(sum, number, __ATOMIC_RELAXED);
}

static void
raise_to(uint64_t *most, uint64_t number)
{
	uint64_t seen = __atomic_load_n(most, __ATOMIC_RELAXED);

	while (number > seen &&
	       !__atomic_compare_exchange_n(most, &seen, number, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void
add_drive(const struct node *node)
{
	if (node->drive == NULL)
		return;
	add(&totals->loaded, node->drive->loaded);
	add(&totals->confirmed, node->drive->confirmed);
	add(&totals->damaged, node->drive->damaged);
}

static void
add_journal(const struct node *node)
{
	if (node->journal == NULL)
		return;
	add(&totals->kept, node->journal->kept);
	add(&totals->full, node->journal->full);
	add(&totals->records, node->journal->records);
	add(&totals->found, node->journal->found);
	add(&totals->torn, node->journal->torn);
	add(&totals->failures, node->journal->failures);
}

static void
add_lies(const struct world *world)
{
	for (int i = 0; i < world->node_count; i++)
		for (unsigned lie = 0; lie < LIAR_LIE_COUNT; lie++)
			add(&totals->lies[lie], liar_told(world->nodes[i]->liar, (enum liar_lie)lie));
	for (unsigned refusal = 0; refusal < SEALS_REFUSAL_COUNT; refusal++)
		add(&totals->refused[refusal], seals_refused(world, (enum seals_refusal)refusal));
}

void
totals_add(const struct run *run)
{
	const struct sim_faults *fair = &run->plan->faults;
	struct history_counts counts;

	history_get_counts(run->history, &counts);
	add(&totals->time_us, run->world->now);
	for (int i = 0; i < run->world->node_count; i++)
		add(&totals->host_time_us, world_ran(run->world->nodes[i]));
	for (int i = 0; i < run->world->node_count; i++)
		add_drive(run->world->nodes[i]);
	for (int i = 0; i < run->world->node_count; i++)
		add_journal(run->world->nodes[i]);
	add_lies(run->world);
	add(&totals->steps, run->world->steps);
	add(&totals->operations, run->world->serial); // each request of a client has one
	add(&totals->fair_runs, run->plan->fair);
	add(&totals->faults, fair->cuts + fair->pauses + fair->naps);
	for (int kind = 0; kind < CHAOS_COUNT; kind++) {
		add(&totals->kinds[kind], run->faults_done[kind]);
		add(&totals->faults, run->faults_done[kind]);
	}
	for (int error = 0; error < ERR_COUNT; error++)
		add(&totals->errors[error], run->errors[error]);
	raise_to(&totals->longest_us[run->plan->fair], run->longest_us);
	raise_to(&totals->longest_percent[run->plan->fair],
		 run->longest_us / 10 / (run->plan->nodes[0].core.hb_ttl_ms + 1));
	add(&totals->restarts, run->restarts);
	add(&totals->evictions, run->world->eviction_count);
	add(&totals->rescues, run->world->rescue_count);
	add(&totals->moves, run->world->move_count);
	add(&totals->reads, counts.reads);
	add(&totals->writes, counts.writes);
	add(&totals->claims, counts.claims);
}

uint64_t
totals_time(void)
{
	return __atomic_load_n(&totals->time_us, __ATOMIC_RELAXED);
}

static void
print_hours(FILE *out, uint64_t time_us, const char *what)
{
	fprintf(out, "%" PRIu64 ".%" PRIu64 " %s", time_us / HOUR_US, time_us % HOUR_US * 10 / HOUR_US, what);
}

static void
print_lies(FILE *out)
{
	uint64_t sum = 0;

	for (unsigned lie = 0; lie < LIAR_LIE_COUNT; lie++)
		sum += totals->lies[lie];
	if (sum > 0) {
		fprintf(out, "lies: %" PRIu64 ":", sum);
		for (unsigned lie = 0; lie < LIAR_LIE_COUNT; lie++)
			fprintf(out, " %s %" PRIu64, liar_lie_name((enum liar_lie)lie), totals->lies[lie]);
		fprintf(out, "\n");
	}
	for (unsigned refusal = 0; refusal < SEALS_REFUSAL_COUNT; refusal++)
		sum += totals->refused[refusal];
	if (sum == 0)
		return;
	fprintf(out, "refused:");
	for (unsigned refusal = 0; refusal < SEALS_REFUSAL_COUNT; refusal++)
		fprintf(out, "%s %" PRIu64 " (%s)", refusal > 0 ? "," : "", totals->refused[refusal],
			seals_refusal_text((enum seals_refusal)refusal));
	fprintf(out, "\n");
}

static void
print_kinds(FILE *out)
{
	fprintf(out, "faults:");
	for (int kind = 0; kind < CHAOS_COUNT; kind++)
		if (totals->kinds[kind] > 0)
			fprintf(out, " %s %" PRIu64, chaos_name((enum chaos_kind)kind), totals->kinds[kind]);
	fprintf(out,
		"\nnodes: %" PRIu64 " restarts, %" PRIu64 " times another parent, %" PRIu64 " evictions, %" PRIu64
		" blocks rescued\n",
		totals->restarts, totals->moves, totals->evictions, totals->rescues);
	fprintf(out,
		"judged: %" PRIu64 " steps, %" PRIu64 " registers written, %" PRIu64 " read, %" PRIu64
		" promises; %" PRIu64 " runs were fair\n",
		totals->steps, totals->writes, totals->reads, totals->claims, totals->fair_runs);
	if (totals->loaded > 0)
		fprintf(out, "disks below caches: %" PRIu64 " blocks read, %" PRIu64 " confirmed after a restart, %" PRIu64
			" damaged\n",
			totals->loaded, totals->confirmed, totals->damaged);
	if (totals->kept > 0)
		fprintf(out,
			"journals: %" PRIu64 " fsyncs, %" PRIu64 " left to the root; %" PRIu64 " records, %" PRIu64
			" torn; %" PRIu64 " blocks found after a death; %" PRIu64 " given up\n",
			totals->kept, totals->full, totals->records, totals->torn, totals->found, totals->failures);
	for (int fair = 0; fair < 2; fair++)
		fprintf(out, "longest request, %s faults: %" PRIu64 " s; %" PRIu64 " %% of a lease\n",
			fair ? "short" : "long", totals->longest_us[fair] / 1000000, totals->longest_percent[fair]);
	for (int error = 1; error < ERR_COUNT; error++)
		if (totals->errors[error] > 0)
			fprintf(out, "requests that failed: %" PRIu64 " (%s)\n", totals->errors[error],
				hvfs_error_text((enum hvfs_error)error));
}

void
totals_print(FILE *out, uint64_t seeds, uint64_t failed, int kinds)
{
	if (kinds)
		print_kinds(out);
	print_lies(out);
	fprintf(out, "%" PRIu64 " seeds, %" PRIu64 " failed: ", seeds, failed);
	print_hours(out, totals->time_us, "tree hours, ");
	print_hours(out, totals->host_time_us, "host hours, ");
	fprintf(out, "%" PRIu64 " faults, %" PRIu64 " operations\n", totals->faults, totals->operations);
}
