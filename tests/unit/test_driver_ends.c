// SPDX-License-Identifier: MIT
// fuse/driver.c on a real mount: how requests, mounts and servers end, and which mounts are refused.
#include "driver_help.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// What a child process does: exits with the errno of its read or write.
static pid_t
fork_client(bool write)
{
	pid_t pid = fork();
	uint8_t byte = 1;
	int fd;

	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	close_range(3, ~0U, 0); // a client does not hold the daemon's /dev/fuse open
	fd = open(help_path("small"), O_RDWR);
	if ((write ? pwrite(fd, &byte, 1, 0) : pread(fd, &byte, 1, 0)) < 0)
		_exit(errno);
	_exit(0);
}

// A killed client's request is cancelled, the client goes away, and the mount goes on serving others.
START_TEST(test_killed_client)
{
	pid_t pid;
	int status, fd;
	uint8_t byte;

	fix->mode = ANSWER_NEVER;
	pid = fork_client(_i == 1);
	sem_wait(&fix->submitted);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	sem_wait(&fix->cancelled_sem);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	fix->mode = ANSWER_NOW;
	fd = help_open("small", O_RDONLY);
	ck_assert_int_eq(pread(fd, &byte, 1, 0), 1);
	close(fd);
	ck_assert_int_ge(fix->cancels, 1); // the write's flush is cancelled too
}
END_TEST

// A signal that does not kill ends no request; one that kills does, also after the other. (Opening a file makes the kernel
// send what it has: the interrupt has come when some of that is done.)
static void
ignore_signal(int number)
{
}

START_TEST(test_signal)
{
	struct sigaction action = {.sa_handler = ignore_signal}; // no SA_RESTART
	pid_t pid;
	int status;

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
	fix->mode = ANSWER_NEVER;
	pid = fork_client(_i & 1);
	sem_wait(&fix->submitted);
	fix->mode = ANSWER_NOW;
	ck_assert_int_eq(kill(pid, SIGUSR1), 0);
	for (int i = 0; i < 200; i++)
		close(help_open("page", O_RDONLY));
	ck_assert_int_eq(fix->cancels, 0);
	if (_i & 2) {
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		sem_wait(&fix->cancelled_sem);
	} else {
		help_on_loop(help_answer_held);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(_i & 2 ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
	ck_assert_int_eq(fix->cancels, _i & 2 ? 1 : 0);
}
END_TEST

// What waits when the driver ends gets EIO, and the mount is gone although the file is open.
START_TEST(test_destroy_pending)
{
	struct stat before, after;
	pid_t pid;
	int status;

	fix->mode = ANSWER_NEVER;
	pid = fork_client(true);
	sem_wait(&fix->submitted);
	help_stop();
	ck_assert_uint_eq(driver_pending(fix->driver), 1);
	driver_destroy(fix->driver);
	fix->driver = NULL;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EIO);
	ck_assert_int_eq(stat(fix->directory, &before), 0);
	ck_assert_int_eq(stat("/tmp", &after), 0);
	ck_assert_uint_eq(before.st_dev, after.st_dev);
}
END_TEST

// An aborted volume answers EIO, at once, whatever the core does with what it has; other volumes go on.
static void
abort_small(struct fixture *f)
{
	ck_assert_uint_eq(driver_abort(f->driver, 0), 1);
	ck_assert_uint_eq(driver_pending(f->driver), 0);
}

START_TEST(test_abort)
{
	pid_t pid;
	int status, fd, other;
	uint8_t byte = 1;

	fix->mode = ANSWER_NEVER;
	pid = fork_client(_i & 1);
	sem_wait(&fix->submitted);
	help_on_loop(abort_small);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), EIO);
	fix->mode = ANSWER_NOW;
	fd = help_open("small", O_RDWR);
	ck_assert_int_eq(pread(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, EIO);
	ck_assert_int_eq(pwrite(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, EIO);
	ck_assert_int_eq(fsync(fd), -1);
	ck_assert_int_eq(errno, EIO);
	close(fd);
	if (_i & 2)
		help_on_loop(help_answer_held); // else its end comes with the driver's
	other = help_open("page", O_RDWR);
	ck_assert_int_eq(pwrite(other, &byte, 1, 0), 1);
	ck_assert_int_eq(close(other), 0);
}
END_TEST

// Lazily: the kernel may still be closing the file of a process that has just ended.
static void
unmount(const char *directory)
{
	char text[128];

	snprintf(text, sizeof(text), "fusermount3 -u -z '%s'", directory);
	ck_assert_int_eq(geteuid() == 0 ? umount2(directory, MNT_DETACH) : system(text), 0);
}

// An unmount by somebody else is told once.
START_TEST(test_unmounted)
{
	unmount(fix->directory);
	sem_wait(&fix->unmounted_sem);
	help_stop();
	ck_assert_int_eq(fix->unmounts, 1);
}
END_TEST

// A second mount, a missing directory and a file are refused with a sentence that names them.
static void
refused(const char *directory, const char *why)
{
	struct event_base *base = event_base_new();
	char error[512] = "";

	ck_assert_ptr_null(help_mount(base, directory, error, sizeof(error)));
	ck_assert_msg(strstr(error, directory) != NULL, "%s", error);
	ck_assert_msg(strstr(error, why) != NULL, "%s", error);
	event_base_free(base);
}

START_TEST(test_refused)
{
	refused(fix->directory, "already");
	refused("/tmp/hvfs-no-such-directory", "does not exist");
	refused("/etc/passwd", "not a directory");
	ck_assert_int_eq(fix->submits, 0);
}
END_TEST

// A mount whose server died is taken away; one whose server lives but does not answer is not.
static pid_t
fork_server(const char *directory, bool stay)
{
	char error[512], byte;
	int fds[2];
	pid_t pid;

	ck_assert_int_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		bool ok = help_mount(event_base_new(), directory, error, sizeof(error)) != NULL;

		if (write(fds[1], &ok, 1) == 1 && stay)
			pause();
		_exit(!ok); // never answers INIT, never unmounts
	}
	ck_assert_int_eq(read(fds[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

START_TEST(test_dead_mount)
{
	char directory[] = "/tmp/hvfs-driver-dead-XXXXXX", error[512] = "";
	struct event_base *base = event_base_new();
	struct driver *driver;
	struct stat before, after;
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(stat(directory, &before), 0);
	pid = fork_server(directory, false);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(stat(directory, &after), -1);
	driver = help_mount(base, directory, error, sizeof(error));
	ck_assert_msg(driver != NULL, "%s", error);
	ck_assert_str_eq(fix->detached, directory);
	driver_destroy(driver);
	event_base_free(base);
	// Nothing is left, neither below nor above.
	ck_assert_int_eq(stat(directory, &after), 0);
	ck_assert_uint_eq(after.st_dev, before.st_dev);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

START_TEST(test_hanging_mount)
{
	char directory[] = "/tmp/hvfs-driver-hang-XXXXXX";
	pid_t pid;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	pid = fork_server(directory, true);
	refused(directory, "fusermount3 -u");
	ck_assert_str_eq(fix->detached, "");
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	unmount(directory);
	ck_assert_int_eq(rmdir(directory), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("driver ends");
	TCase *tcase = tcase_create("mount");
	SRunner *runner;
	int failed;

	if (!help_can_mount())
		return 77;
	tcase_add_checked_fixture(tcase, help_setup, help_teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, test_killed_client, 0, 2);
	tcase_add_loop_test(tcase, test_signal, 0, 4);
	tcase_add_test(tcase, test_destroy_pending);
	tcase_add_loop_test(tcase, test_abort, 0, 4);
	tcase_add_test(tcase, test_unmounted);
	tcase_add_test(tcase, test_refused);
	tcase_add_test(tcase, test_dead_mount);
	tcase_add_test(tcase, test_hanging_mount);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
