// SPDX-License-Identifier: MIT
#include "tests/sim/history.h"

#include "core/check.h"

#include <stdio.h>
#include <stdlib.h>

struct reg {
	struct register_op *ops;
	struct fate *fates; // of the writes among them
	uint32_t count, size;
	uint32_t reverted; // so many of them are judged; 0: all (history_reverted)
	uint64_t reverted_at;
	uint64_t durable; // the value last seen on the disk
	bool again, misled;
};

struct claim {
	uint64_t reg, written, found;
	uint64_t at; // of the history's clock
	const char *place;
	uint32_t tag;
};

struct history {
	struct reg *regs;
	uint64_t count;
	uint64_t initial;
	uint64_t now;
	struct claim *claims;
	size_t claim_count, claim_size;
	struct history_counts counts;
	struct losses losses;
	const bool *trusted; // by tag; NULL: nobody lies
	uint64_t lies_at, settled_at; // 0: not yet
	struct failure *failures;
	size_t failure_size;
};

struct history *
history_create(uint64_t count, uint64_t initial)
{
	struct history *history = calloc(1, sizeof *history);

	CHECK(history != NULL);
	history->regs = calloc(count, sizeof *history->regs);
	CHECK(history->regs != NULL);
	history->count = count;
	history->initial = initial;
	for (uint64_t i = 0; i < count; i++)
		history->regs[i].durable = initial;
	return history;
}

void
history_destroy(struct history *history)
{
	if (history == NULL)
		return;
	for (uint64_t i = 0; i < history->count; i++) {
		free(history->regs[i].ops);
		free(history->regs[i].fates);
	}
	free(history->failures);
	free(history->regs);
	free(history->claims);
	free(history);
}

uint64_t
history_now(struct history *history)
{
	return ++history->now;
}

static uint32_t
reg_add(struct history *history, uint64_t index, struct register_op op)
{
	struct reg *reg = &history->regs[index];

	CHECK(index < history->count);
	if (reg->count + 1 >= reg->size) {
		reg->size = reg->size ? reg->size * 2 : 8;
		reg->ops = realloc(reg->ops, reg->size * sizeof *reg->ops);
		reg->fates = realloc(reg->fates, reg->size * sizeof *reg->fates);
		CHECK(reg->ops != NULL && reg->fates != NULL);
	}
	if (reg->count == 0) {
		reg->fates[0] = (struct fate){.durable = true};
		reg->ops[reg->count++] = (struct register_op){.write = true, .value = history->initial};
	}
	reg->fates[reg->count] = (struct fate){.place = PLACE_NODE};
	reg->ops[reg->count] = op;
	return reg->count++;
}

uint32_t
history_write_began(struct history *history, uint64_t reg, uint32_t tag, uint64_t value, uint64_t invoked)
{
	history->counts.writes++;
	return reg_add(history, reg,
		       (struct register_op){.write = true,
					    .tag = tag,
					    .value = value,
					    .invoked = invoked,
					    .returned = LINEARIZABLE_UNKNOWN});
}

void
history_write_ended(struct history *history, uint64_t reg, uint32_t index, uint64_t returned, enum place place)
{
	CHECK(history->regs[reg].ops[index].write && history->regs[reg].ops[index].returned == LINEARIZABLE_UNKNOWN);
	history->regs[reg].ops[index].returned = returned;
	history->regs[reg].fates[index].place = place;
}

// ---- What lasts ----

void
history_set_tree(struct history *history, const int *parents)
{
	history->losses.parents = parents;
}

void
history_write_synced(struct history *history, uint64_t reg, uint32_t index)
{
	struct fate *fate = &history->regs[reg].fates[index];

	if (history->regs[reg].reverted != 0 || fate->durable)
		return;
	fate->durable = true;
	fate->durable_at = history->now;
}

void
history_write_moved(struct history *history, uint64_t reg, uint32_t index, enum place place)
{
	struct fate *fate = &history->regs[reg].fates[index];

	if (place > fate->place)
		fate->place = place;
}

void
history_write_kept(struct history *history, uint64_t reg, uint32_t index)
{
	history->regs[reg].fates[index].kept = true;
}

void
history_durable(struct history *history, uint64_t index, uint64_t value)
{
	struct reg *reg = &history->regs[index];

	if (reg->durable == value)
		return;
	reg->durable = value;
	for (uint32_t i = reg->count; i > 0; i--) {
		if (reg->ops[i - 1].write && reg->ops[i - 1].value == value) {
			history_write_synced(history, index, i - 1);
			return;
		}
	}
}

void
history_reverted(struct history *history, uint64_t index, uint64_t value)
{
	struct reg *reg = &history->regs[index];

	for (uint32_t i = 0; i < reg->count && reg->reverted == 0; i++) {
		if (!reg->ops[i].write || reg->ops[i].value != value || reg->fates[i].durable)
			continue;
		reg->reverted = reg->count;
		reg->reverted_at = history_now(history);
	}
}

// How many operations of a register are judged.
static uint32_t
reg_count(const struct reg *reg)
{
	return reg->reverted != 0 ? reg->reverted : reg->count;
}

static size_t
failure_add(struct history *history, uint32_t tag, enum failure_kind kind)
{
	struct losses *losses = &history->losses;

	CHECK(losses->parents != NULL);
	if (losses->failure_count == history->failure_size) {
		history->failure_size = history->failure_size ? history->failure_size * 2 : 32;
		history->failures = realloc(history->failures, history->failure_size * sizeof *history->failures);
		CHECK(history->failures != NULL);
		losses->failures = history->failures;
	}
	history->failures[losses->failure_count] =
		(struct failure){tag, kind, history_now(history), LINEARIZABLE_UNKNOWN};
	return losses->failure_count++;
}

size_t
history_failed(struct history *history, uint32_t tag)
{
	return failure_add(history, tag, FAILURE);
}

size_t
history_died(struct history *history, uint32_t tag)
{
	return failure_add(history, tag, FAILURE_DEATH);
}

void
history_stays_dead(struct history *history, uint32_t tag)
{
	for (size_t i = history->losses.failure_count; i-- > 0;) {
		if (history->failures[i].node != tag || history->failures[i].kind != FAILURE_DEATH)
			continue;
		history->failures[i].kind = FAILURE;
		return;
	}
}

size_t
history_evicted(struct history *history, uint32_t tag)
{
	return failure_add(history, tag, FAILURE_EVICTED);
}

size_t
history_gone_evicted(struct history *history, uint32_t tag)
{
	return failure_add(history, tag, FAILURE_GONE);
}

size_t
history_may_have_failed(struct history *history, uint32_t tag)
{
	return failure_add(history, tag, FAILURE_IF_TOLD);
}

void
history_told(struct history *history, uint32_t tag)
{
	for (size_t i = 0; i < history->losses.failure_count; i++)
		if (history->failures[i].node == tag && history->failures[i].kind == FAILURE_IF_TOLD)
			history->failures[i].kind = FAILURE_TOLD;
}

void
history_failure_over(struct history *history, size_t number)
{
	history->failures[number].until = history_now(history);
}

void
history_lies(struct history *history, const bool *trusted)
{
	history->trusted = history->losses.trusted = trusted;
	history->lies_at = history_now(history);
}

void
history_came_again(struct history *history, uint64_t reg)
{
	history->regs[reg].again = true;
}

void
history_misled(struct history *history, uint64_t reg)
{
	history->regs[reg].misled = true;
}

void
history_settled(struct history *history)
{
	history->settled_at = history_now(history);
}

void
history_read(struct history *history, uint64_t reg, uint32_t tag, uint64_t value, uint64_t invoked, uint64_t returned)
{
	history->counts.reads++;
	reg_add(history, reg,
		(struct register_op){.tag = tag, .value = value, .invoked = invoked, .returned = returned});
}

void
history_claim(struct history *history, uint64_t reg, uint32_t tag, const char *place, uint64_t written, uint64_t found)
{
	history->counts.claims++;
	if (written == found)
		return;
	if (history->claim_count == history->claim_size) {
		history->claim_size = history->claim_size ? history->claim_size * 2 : 64;
		history->claims = realloc(history->claims, history->claim_size * sizeof *history->claims);
		CHECK(history->claims != NULL);
	}
	history->claims[history->claim_count++] = (struct claim){reg, written, found, history->now, place, tag};
}

static void
op_print(const struct register_op *op)
{
	fprintf(stderr, "    %s %#llx by n%u  [%llu, ", op->write ? "write" : "read ", (unsigned long long)op->value,
		op->tag, (unsigned long long)op->invoked);
	if (op->returned == LINEARIZABLE_UNKNOWN)
		fprintf(stderr, "unknown]\n");
	else
		fprintf(stderr, "%llu]\n", (unsigned long long)op->returned);
}

static const char *
failure_text(enum failure_kind kind)
{
	static const char *const texts[] = {
		[FAILURE] = "failed",
		[FAILURE_IF_TOLD] = "would fail, if it were told,",
		[FAILURE_TOLD] = "failed, as it was told,",
		[FAILURE_GONE] = "was evicted under a name it had",
		[FAILURE_DEATH] = "died, with a journal,",
		[FAILURE_EVICTED] = "was evicted, with a journal,",
	};

	return texts[kind];
}

static void
failures_print(const struct history *history, const struct linearizable_verdict *verdict)
{
	for (size_t i = 0; i < history->losses.failure_count; i++) {
		const struct failure *failure = &history->failures[i];
		bool concerned = false;

		for (size_t k = 0; k < verdict->evidence_count; k++)
			concerned = concerned || losses_is_below(&history->losses, (int)verdict->evidence[k]->tag,
								 (int)failure->node);
		if (concerned)
			fprintf(stderr, "    n%u %s at %llu\n", failure->node, failure_text(failure->kind),
				(unsigned long long)failure->at);
	}
}

// Since when each operation of a register does not count. The caller frees it.
static uint64_t *
reg_undone(const struct history *history, const struct reg *reg)
{
	uint64_t *undone = malloc(2 * (reg_count(reg) + 1) * sizeof *undone);

	CHECK(undone != NULL);
	losses_find(&history->losses, reg->ops, reg->fates, reg_count(reg), undone);
	return undone;
}

static bool
is_read(const struct reg *reg, const uint64_t *undone, uint64_t value)
{
	for (uint32_t i = 0; i < reg->count; i++)
		if (!reg->ops[i].write && reg->ops[i].value == value && undone[i] == LINEARIZABLE_UNKNOWN)
			return true;
	return false;
}

// What has been undone and is read later was brought again in between (losses.h). ${view} has room for as many as it has.
static void
bring_back(struct reg *view, uint64_t *undone)
{
	for (uint32_t i = 0, count = view->count; i < count; i++) {
		struct register_op *op = &view->ops[i];

		if (!op->write || undone[i] == LINEARIZABLE_UNKNOWN || !is_read(view, undone, op->value))
			continue;
		view->ops[view->count] = *op;
		view->ops[view->count].invoked = undone[i];
		view->ops[view->count].returned = LINEARIZABLE_UNKNOWN;
		view->fates[view->count] = view->fates[i];
		undone[view->count++] = LINEARIZABLE_UNKNOWN;
	}
}

// The operations of a register that count at ${moment}. The caller frees them.
static struct register_op *
reg_ops(const struct reg *reg, const uint64_t *undone, uint64_t moment, size_t *ret_count)
{
	struct register_op *ops = malloc((reg_count(reg) + 1) * sizeof *ops);

	CHECK(ops != NULL);
	*ret_count = losses_cut(reg->ops, undone, reg_count(reg), moment, ops);
	return ops;
}

static bool
reg_check_at(const struct history *history, uint64_t index, const struct reg *reg, const uint64_t *undone, uint64_t moment)
{
	struct linearizable_verdict verdict;
	size_t count;
	struct register_op *ops = reg_ops(reg, undone, moment, &count);
	bool good = linearizable_check(ops, count, &verdict);

	if (!good) {
		fprintf(stderr, "register %llu is not linearizable%s: %s\n", (unsigned long long)index,
			moment == LINEARIZABLE_UNKNOWN ? "" : " before a failure", verdict.why);
		for (size_t i = 0; i < verdict.evidence_count; i++)
			op_print(verdict.evidence[i]);
		failures_print(history, &verdict);
	}
	free(ops);
	return good;
}

static bool
is_moment(const uint64_t *undone, size_t count, uint64_t moment)
{
	for (size_t i = 0; i < count; i++)
		if (undone[i] == moment)
			return true;
	return false;
}

// Judged as it was just before each failure that may have undone something first, and in the end.
static bool
reg_check_undone(const struct history *history, uint64_t index, const struct reg *reg, const uint64_t *undone)
{
	bool good = reg_check_at(history, index, reg, undone, LINEARIZABLE_UNKNOWN);

	for (size_t i = 0; i < history->losses.failure_count && good; i++)
		if (is_moment(undone, reg_count(reg), history->failures[i].at))
			good = reg_check_at(history, index, reg, undone, history->failures[i].at);
	return good;
}

static bool
reg_check_all(const struct history *history, uint64_t index, const struct reg *reg)
{
	uint64_t *undone = reg_undone(history, reg);
	bool good = reg_check_undone(history, index, reg, undone);

	free(undone);
	return good;
}

// ---- Where some lie ----

static struct reg
reg_empty(const struct reg *reg)
{
	size_t size = 2 * ((size_t)reg->count + 1); // bring_back
	struct reg ret = {.ops = malloc(size * sizeof *ret.ops), .fates = malloc(size * sizeof *ret.fates)};

	CHECK(ret.ops != NULL && ret.fates != NULL);
	return ret;
}

static void
reg_copy_op(struct reg *to, const struct reg *from, uint32_t i, bool known)
{
	to->ops[to->count] = from->ops[i];
	to->fates[to->count] = from->fates[i];
	if (!known)
		to->ops[to->count].returned = LINEARIZABLE_UNKNOWN;
	to->count++;
}

static void
reg_free(struct reg *reg)
{
	free(reg->ops);
	free(reg->fates);
}

static bool
view_check(const struct history *history, uint64_t index, struct reg *view)
{
	uint64_t *undone = reg_undone(history, view);
	bool good;

	bring_back(view, undone);
	good = reg_check_undone(history, index, view, undone);
	free(undone);
	return good;
}

// What everybody saw before.
static bool
reg_check_before(const struct history *history, uint64_t index)
{
	const struct reg *reg = &history->regs[index];
	struct reg view = reg_empty(reg);
	bool good;

	for (uint32_t i = 0; i < reg->count; i++) {
		const struct register_op *op = &reg->ops[i];
		bool ended = op->returned < history->lies_at;

		if (op->invoked >= history->lies_at || (!op->write && !ended))
			continue;
		reg_copy_op(&view, reg, i, ended);
		view.fates[view.count - 1].durable &= reg->fates[i].durable_at < history->lies_at;
	}
	good = view_check(history, index, &view);
	reg_free(&view);
	return good;
}

// What trusted nodes saw. What others wrote may have taken effect at any time since.
static struct reg
reg_trusted(const struct history *history, const struct reg *reg)
{
	struct reg view = reg_empty(reg);

	for (uint32_t i = 0; i < reg->count; i++) {
		bool trusted = i == 0 || history->trusted[reg->ops[i].tag];

		if (trusted || reg->ops[i].write)
			reg_copy_op(&view, reg, i, trusted && reg->ops[i].returned != LINEARIZABLE_UNKNOWN);
	}
	return view;
}

static bool
reg_check_trusted(const struct history *history, uint64_t index)
{
	struct reg view = reg_trusted(history, &history->regs[index]);
	bool good = view_check(history, index, &view);

	reg_free(&view);
	return good;
}

// What everybody saw since the end, if it was written since.
static bool
reg_check_settled(const struct history *history, uint64_t index)
{
	const struct reg *reg = &history->regs[index];
	struct reg view = reg_empty(reg);
	bool good = true, written = false;

	for (uint32_t i = 0; i < reg->count; i++) {
		bool since = reg->ops[i].invoked >= history->settled_at;

		written |= since && reg->ops[i].write && reg->ops[i].returned != LINEARIZABLE_UNKNOWN;
		if (since || reg->ops[i].write)
			reg_copy_op(&view, reg, i, i == 0 || since);
	}
	if (written && history->settled_at != 0)
		good = view_check(history, index, &view);
	reg_free(&view);
	return good;
}

static bool
was_written(const struct reg *reg, const struct register_op *read)
{
	for (uint32_t i = 0; i < reg->count; i++)
		if (reg->ops[i].write && reg->ops[i].value == read->value && reg->ops[i].invoked <= read->returned)
			return true;
	return false;
}

// Nobody reads what was not written there.
static bool
reg_check_integrity(const struct reg *reg, uint64_t index)
{
	for (uint32_t i = 0; i < reg->count; i++) {
		if (reg->ops[i].write || was_written(reg, &reg->ops[i]))
			continue;
		fprintf(stderr, "register %llu has no integrity: n%u read %#llx, which nobody wrote there\n", (unsigned long long)index,
			reg->ops[i].tag, (unsigned long long)reg->ops[i].value);
		return false;
	}
	return true;
}

static bool
reg_check_among_liars(const struct history *history, uint64_t index)
{
	const struct reg *reg = &history->regs[index];

	if (!reg_check_integrity(reg, index))
		return false;
	if (!reg_check_before(history, index)) {
		fprintf(stderr, "    before anybody lied\n");
		return false;
	}
	if (!reg->again && !reg_check_trusted(history, index)) {
		fprintf(stderr, "    to nodes that are trusted\n");
		return false;
	}
	if (reg_check_settled(history, index))
		return true;
	fprintf(stderr, "    when the liars were gone\n");
	return false;
}

static bool
reg_check(const struct history *history, uint64_t index)
{
	const struct reg *reg = &history->regs[index];

	if (reg->count == 0)
		return true;
	return history->trusted != NULL ? reg_check_among_liars(history, index) : reg_check_all(history, index, reg);
}

static bool
reg_has_write(const struct reg *reg, uint64_t value)
{
	for (uint32_t i = 0; i < reg->count; i++)
		if (reg->ops[i].write && reg->ops[i].value == value)
			return true;
	return false;
}

static int
claim_compare(const void *a, const void *b)
{
	const struct claim *x = a, *y = b;

	if (x->reg != y->reg)
		return x->reg < y->reg ? -1 : 1;
	if (x->found != y->found)
		return x->found < y->found ? -1 : 1;
	if (x->written != y->written)
		return x->written < y->written ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

static bool
claim_check(const struct claim *claim, const struct reg *reg, struct linearizable_order *order)
{
	bool known = reg_has_write(reg, claim->found);

	if (reg->reverted != 0 && claim->at > reg->reverted_at)
		return true;
	if (known && !linearizable_is_before(order, claim->found, claim->written))
		return true;
	fprintf(stderr, "register %llu: n%u was told at %llu that %#llx is on %s, which held %#llx, %s\n",
		(unsigned long long)claim->reg, claim->tag, (unsigned long long)claim->at,
		(unsigned long long)claim->written, claim->place, (unsigned long long)claim->found,
		known ? "which is older" : "which nobody wrote");
	return false;
}

static bool
claim_counts(const struct history *history, const struct reg *reg, const struct claim *claim)
{
	bool trusted = history->trusted == NULL || history->trusted[claim->tag] || claim->at < history->lies_at;

	return !reg->again && (trusted || !reg->misled);
}

// All claims about one register; what was claimed often is looked at once.
static bool
claims_check(const struct history *history, const struct claim *claims, size_t claim_count)
{
	const struct reg *whole = &history->regs[claims->reg];
	struct reg view = history->trusted != NULL ? reg_trusted(history, whole) : (struct reg){0};
	const struct reg *reg = history->trusted != NULL ? &view : whole;
	uint64_t *undone = reg_undone(history, reg);
	struct linearizable_order *order;
	struct register_op *ops;
	bool good = true;
	size_t count;

	if (reg == &view)
		bring_back(&view, undone);
	ops = reg_ops(reg, undone, LINEARIZABLE_UNKNOWN, &count);
	order = linearizable_order_create(ops, count);

	for (size_t i = 0; i < claim_count; i++)
		if (claim_counts(history, whole, &claims[i]) &&
		    (i == 0 || claims[i].found != claims[i - 1].found || claims[i].written != claims[i - 1].written ||
		     !claim_counts(history, whole, &claims[i - 1])))
			good = claim_check(&claims[i], reg, order) && good;
	linearizable_order_destroy(order);
	free(ops);
	free(undone);
	reg_free(&view);
	return good;
}

bool
history_check(const struct history *history)
{
	struct claim *claims = history->claims;
	bool good = true;

	for (uint64_t i = 0; i < history->count; i++)
		good = reg_check(history, i) && good;
	if (history->claim_count > 0)
		qsort(claims, history->claim_count, sizeof *claims, claim_compare);
	for (size_t i = 0, end; good && i < history->claim_count; i = end) {
		for (end = i + 1; end < history->claim_count && claims[end].reg == claims[i].reg;)
			end++;
		good = claims_check(history, &claims[i], end - i);
	}
	return good;
}

void
history_get_counts(const struct history *history, struct history_counts *ret)
{
	*ret = history->counts;
}
