// SPDX-License-Identifier: MIT
// Tasks run on another thread, in their order, and end on the loop.
#include "node/worker.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { TASKS = 100 };

struct probe {
	struct task task;
	int number;
	int *count; // of those that were run
	pthread_t ran_on;
	bool ran, done;
	struct probe *then; // submitted by done
};

static struct event_base *base;
static struct worker *worker;

static void
setup(void)
{
	base = event_base_new();
	ck_assert_ptr_nonnull(base);
	worker = worker_create(base);
	ck_assert_ptr_nonnull(worker);
}

static void
teardown(void)
{
	worker_destroy(worker);
	event_base_free(base);
}

static void
probe_run(struct task *task)
{
	struct probe *probe = (struct probe *)task;

	ck_assert_int_eq(*probe->count, probe->number);
	++*probe->count;
	probe->ran_on = pthread_self();
	probe->ran = true;
}

static void
probe_done(struct task *task)
{
	struct probe *probe = (struct probe *)task;

	ck_assert(probe->ran && !probe->done);
	ck_assert(!pthread_equal(probe->ran_on, pthread_self()));
	probe->done = true;
	if (probe->then != NULL)
		worker_submit(worker, &probe->then->task);
}

static void
run_loop(void)
{
	while (worker_is_busy(worker))
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}

START_TEST(test_order)
{
	struct probe probes[TASKS] = {0};
	int count = 0;

	for (int i = 0; i < TASKS; i++) {
		probes[i] = (struct probe){.task = {.run = probe_run, .done = probe_done}, .number = i, .count = &count};
		worker_submit(worker, &probes[i].task);
		ck_assert(!probes[i].done); // never at once
	}
	run_loop();
	for (int i = 0; i < TASKS; i++)
		ck_assert(probes[i].done);
	ck_assert_int_eq(count, TASKS);
}
END_TEST

START_TEST(test_done_submits)
{
	struct probe probes[3] = {0};
	int count = 0;

	for (int i = 0; i < 3; i++)
		probes[i] = (struct probe){.task = {.run = probe_run, .done = probe_done},
					   .number = i,
					   .count = &count,
					   .then = i < 2 ? &probes[i + 1] : NULL};
	worker_submit(worker, &probes[0].task);
	run_loop();
	ck_assert(probes[2].done);
}
END_TEST

START_TEST(test_unused)
{
	ck_assert(!worker_is_busy(worker));
	ck_assert(!worker_is_busy(NULL));
	worker_destroy(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tcase = tcase_create("worker");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_order);
	tcase_add_test(tcase, test_done_submits);
	tcase_add_test(tcase, test_unused);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
