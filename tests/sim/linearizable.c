// SPDX-License-Identifier: MIT
// A cluster is one write and the reads that returned its value. In any explanation of the history a cluster's
// operations stand together (no other write between them), so the question is whether the clusters can be put in a row.
// Let f be the earliest response in a cluster and s its latest invocation. Cluster A must come before B exactly when
// one of A's operations ended before one of B's began: A.f < B.s. The history is linearizable iff every value read was
// written, no read ended before its write began, and no two clusters must come before each other: A.f < B.s and B.f <
// A.s (longer circles contain such a pair). These are the conditions of Gibbons and Korach, "Testing shared memories",
// 1997.
//
// At least one cluster of a conflicting pair has f < s ("forward": it cannot shrink to a moment). So: sort the forward
// ones by f, keep the running maximum of s, and look each cluster up.
#include "tests/sim/linearizable.h"

#include "core/check.h"

#include <stdlib.h>

struct cluster {
	uint64_t value;
	uint64_t first; // f
	uint64_t last;  // s
	const struct register_op *write;
	const struct register_op *first_op;  // that gives f
	const struct register_op *last_op;   // that gives s
	const struct cluster *prefix_latest; // forward clusters: the one with the greatest s up to here
};

static int
op_compare(const void *a, const void *b)
{
	const struct register_op *x = *(const struct register_op *const *)a, *y = *(const struct register_op *const *)b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return (int)y->write - (int)x->write; // the write first
}

static int
cluster_compare_first(const void *a, const void *b)
{
	const struct cluster *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static bool
refuse(struct linearizable_verdict *ret, const char *why, const struct register_op *a, const struct register_op *b)
{
	*ret = (struct linearizable_verdict){.why = why, .evidence = {a, b}, .evidence_count = b == NULL ? 1 : 2};
	return false;
}

static bool
refuse_pair(struct linearizable_verdict *ret, const struct cluster *a, const struct cluster *b)
{
	*ret = (struct linearizable_verdict){
		.why = "each of two values must come before the other",
		.evidence = {a->write, a->first_op, a->last_op, b->write, b->first_op, b->last_op},
		.evidence_count = 6,
	};
	return false;
}

static void
cluster_add(struct cluster *cluster, const struct register_op *op)
{
	if (cluster->first_op == NULL || op->returned < cluster->first) {
		cluster->first = op->returned;
		cluster->first_op = op;
	}
	if (cluster->last_op == NULL || op->invoked > cluster->last) {
		cluster->last = op->invoked;
		cluster->last_op = op;
	}
}

// Group ${count} operations, sorted by op_compare, into ${clusters}. Returns how many, or -1 with a verdict. With
// ${keep_unread} false, a write of unknown outcome that nobody read is dropped.
static long
clusters_build(const struct register_op **sorted, size_t count, struct cluster *clusters, bool keep_unread,
	       struct linearizable_verdict *ret)
{
	long built = 0;

	for (size_t i = 0, end; i < count; i = end) {
		struct cluster cluster = {.value = sorted[i]->value, .write = sorted[i]};

		if (!sorted[i]->write)
			return refuse(ret, "a value was read that nobody wrote", sorted[i], NULL), -1;
		cluster_add(&cluster, sorted[i]);
		for (end = i + 1; end < count && sorted[end]->value == cluster.value; end++) {
			if (sorted[end]->write)
				return refuse(ret, "two writes have the same value", sorted[i], sorted[end]), -1;
			if (sorted[end]->returned < sorted[i]->invoked)
				return refuse(ret, "a value was read before it was written", sorted[i], sorted[end]),
				       -1;
			cluster_add(&cluster, sorted[end]);
		}
		if (end == i + 1 && sorted[i]->returned == LINEARIZABLE_UNKNOWN && !keep_unread)
			continue;
		clusters[built++] = cluster;
	}
	return built;
}

// Move the forward clusters to the front, sorted, with their running maximum. Returns their number.
static size_t
clusters_sort_forward(struct cluster *clusters, size_t count)
{
	size_t forward = 0;

	for (size_t i = 0; i < count; i++) {
		if (clusters[i].first < clusters[i].last) {
			struct cluster swap = clusters[forward];

			clusters[forward++] = clusters[i];
			clusters[i] = swap;
		}
	}
	qsort(clusters, forward, sizeof *clusters, cluster_compare_first);
	for (size_t i = 0; i < forward; i++) {
		const struct cluster *before = i == 0 ? NULL : clusters[i - 1].prefix_latest;

		clusters[i].prefix_latest = before != NULL && before->last > clusters[i].last ? before : &clusters[i];
	}
	return forward;
}

// How many of the forward clusters have f < ${moment}.
static size_t
forward_before(const struct cluster *clusters, size_t forward, uint64_t moment)
{
	size_t low = 0, high = forward;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (clusters[middle].first < moment)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
clusters_check(struct cluster *clusters, size_t count, struct linearizable_verdict *ret)
{
	size_t forward = clusters_sort_forward(clusters, count);

	for (size_t i = 0; i < count; i++) {
		// Of two forward clusters the one with the smaller f always has f < the other's s: look only before it.
		size_t before = i < forward ? i : forward_before(clusters, forward, clusters[i].last);
		const struct cluster *rival = before == 0 ? NULL : clusters[before - 1].prefix_latest;

		if (rival != NULL && rival->last > clusters[i].first)
			return refuse_pair(ret, rival, &clusters[i]);
	}
	return true;
}

static const struct register_op **
ops_sort(const struct register_op *ops, size_t count)
{
	const struct register_op **sorted = malloc((count + 1) * sizeof *sorted);

	CHECK(sorted != NULL);
	for (size_t i = 0; i < count; i++)
		sorted[i] = &ops[i];
	qsort(sorted, count, sizeof *sorted, op_compare);
	return sorted;
}

bool
linearizable_check(const struct register_op *ops, size_t count, struct linearizable_verdict *ret)
{
	const struct register_op **sorted = ops_sort(ops, count);
	struct cluster *clusters = malloc((count + 1) * sizeof *clusters);
	long built;
	bool legal;

	CHECK(clusters != NULL);
	built = clusters_build(sorted, count, clusters, false, ret);
	legal = built >= 0 && clusters_check(clusters, (size_t)built, ret);
	free(clusters);
	free(sorted);
	return legal;
}

// ---- Which write comes first ----

struct linearizable_order {
	struct cluster *clusters;         // by value
	const struct cluster **last_down; // the same by s, the greatest first
	size_t count;
	uint64_t value, threshold; // of the last question: what has s > threshold comes after value
};

static int
cluster_compare_last_down(const void *a, const void *b)
{
	const struct cluster *x = *(const struct cluster *const *)a, *y = *(const struct cluster *const *)b;

	return x->last > y->last ? -1 : x->last < y->last;
}

struct linearizable_order *
linearizable_order_create(const struct register_op *ops, size_t count)
{
	struct linearizable_order *order = calloc(1, sizeof *order);
	const struct register_op **sorted = ops_sort(ops, count);
	struct linearizable_verdict verdict;
	long built;

	CHECK(order != NULL);
	order->clusters = malloc((count + 1) * sizeof *order->clusters);
	order->last_down = malloc((count + 1) * sizeof *order->last_down);
	CHECK(order->clusters != NULL && order->last_down != NULL);
	built = clusters_build(sorted, count, order->clusters, true, &verdict);
	order->count = built > 0 ? (size_t)built : 0;
	order->threshold = LINEARIZABLE_UNKNOWN;
	for (size_t i = 0; i < order->count; i++)
		order->last_down[i] = &order->clusters[i];
	if (order->count > 0)
		qsort(order->last_down, order->count, sizeof(const struct cluster *), cluster_compare_last_down);
	free(sorted);
	return order;
}

void
linearizable_order_destroy(struct linearizable_order *order)
{
	if (order == NULL)
		return;
	free(order->clusters);
	free(order->last_down);
	free(order);
}

static const struct cluster *
cluster_find(const struct linearizable_order *order, uint64_t value)
{
	size_t low = 0, high = order->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (order->clusters[middle].value < value)
			low = middle + 1;
		else
			high = middle;
	}
	return low < order->count && order->clusters[low].value == value ? &order->clusters[low] : NULL;
}

// Reach from ${value}: everything with s > t must come after, where t is the smallest f reached so far.
static void
order_reach(struct linearizable_order *order, uint64_t value)
{
	const struct cluster *from = cluster_find(order, value);

	order->value = value;
	order->threshold = from != NULL ? from->first : LINEARIZABLE_UNKNOWN;
	for (size_t i = 0; i < order->count && order->last_down[i]->last > order->threshold; i++)
		if (order->last_down[i]->first < order->threshold)
			order->threshold = order->last_down[i]->first;
}

bool
linearizable_is_before(struct linearizable_order *order, uint64_t value, uint64_t other)
{
	const struct cluster *cluster = cluster_find(order, other);

	if (value == other || cluster == NULL)
		return false;
	if (order->value != value || order->threshold == LINEARIZABLE_UNKNOWN)
		order_reach(order, value);
	return cluster->last > order->threshold;
}
