// SPDX-License-Identifier: MIT
// Each test is a process of its own (check forks): what is given up does not come back.
#include "cli/sandbox.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void
enter(void)
{
	char error[256];

	ck_assert_msg(sandbox_enter(error, sizeof(error)) == 0, "%s", error);
}

#define REFUSED(sys_errno, call)                                            \
	do {                                                                \
		errno = 0;                                                  \
		ck_assert_msg((call) < 0, "%s was not refused", #call);     \
		ck_assert_msg(errno == (sys_errno), "%s: errno %d", #call, errno); \
	} while (0)

// ---- What a node has no use for ----

START_TEST(test_programs)
{
	char *argv[] = {(char *)"true", NULL};

	enter();
	REFUSED(EPERM, execv("/bin/true", argv));
	REFUSED(EPERM, syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv, 0));
#ifndef __SANITIZE_ADDRESS__
	REFUSED(EPERM, ptrace(PTRACE_TRACEME, 0, NULL, NULL));
#endif
	REFUSED(EPERM, syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0));
}
END_TEST

START_TEST(test_mounts)
{
	enter();
	REFUSED(EPERM, mount("none", "/", "tmpfs", 0, NULL));
	REFUSED(EPERM, umount2("/nowhere", MNT_DETACH));
	REFUSED(EPERM, unshare(CLONE_FS)); // needs no right otherwise
	REFUSED(EPERM, chroot("/"));
	REFUSED(EPERM, mknod("/nowhere/null", 0, 0));
}
END_TEST

START_TEST(test_kernel)
{
	struct timespec now;

	enter();
	ck_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
	REFUSED(EPERM, clock_settime(CLOCK_REALTIME, &now));
	REFUSED(EPERM, syscall(SYS_bpf, 0, NULL, 0));
	REFUSED(EPERM, syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0));
	REFUSED(EPERM, syscall(SYS_userfaultfd, 0));
	REFUSED(EPERM, syscall(SYS_io_uring_setup, 1, NULL));
	REFUSED(EPERM, syscall(SYS_keyctl, 0, 0, 0, 0, 0));
	REFUSED(EPERM, setuid(getuid()));
}
END_TEST

START_TEST(test_memory_is_no_code)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int segment = shmget(IPC_PRIVATE, 4096, 0600);

	enter();
	REFUSED(EPERM, syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_EXEC, -1));
	ck_assert(segment >= 0 && (intptr_t)shmat(segment, NULL, SHM_EXEC) == -1 && errno == EPERM);
	shmctl(segment, IPC_RMID, NULL);
	REFUSED(EPERM, mprotect(page, 4096, PROT_READ | PROT_EXEC));
	ck_assert(mprotect(page, 4096, PROT_READ) == 0);
	ck_assert(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	ck_assert(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED); // as of a library
}
END_TEST

START_TEST(test_sockets)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

	enter();
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		int fd = socket(families[i], SOCK_DGRAM, 0);

		ck_assert(fd >= 0 || errno == EAFNOSUPPORT || families[i] == AF_INET6);
	}
	REFUSED(EAFNOSUPPORT, socket(AF_PACKET, SOCK_DGRAM, 0));
	REFUSED(EAFNOSUPPORT, socket(AF_ALG, SOCK_SEQPACKET, 0));
	REFUSED(EAFNOSUPPORT, socket(AF_VSOCK, SOCK_STREAM, 0));
}
END_TEST

// ---- All threads, and what goes on ----

static sem_t entered;

static void *
run_before(void *arg)
{
	char *argv[] = {(char *)"true", NULL};

	while (sem_wait(&entered) != 0)
		;
	REFUSED(EPERM, execv("/bin/true", argv));
	ck_assert(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	ck_assert(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER);
	return NULL;
}

static void *
run_after(void *arg)
{
	struct addrinfo *infos;

	ck_assert(getaddrinfo("localhost", "1", NULL, &infos) == 0);
	freeaddrinfo(infos);
	return run_before(arg);
}

START_TEST(test_threads)
{
	pthread_t before, after;

	ck_assert(sem_init(&entered, 0, 0) == 0);
	ck_assert(pthread_create(&before, NULL, run_before, NULL) == 0);
	enter();
	ck_assert(pthread_create(&after, NULL, run_after, NULL) == 0);
	sem_post(&entered);
	sem_post(&entered);
	ck_assert(pthread_join(before, NULL) == 0 && pthread_join(after, NULL) == 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sandbox");
	TCase *tests = tcase_create("sandbox");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tests, test_programs);
	tcase_add_test(tests, test_mounts);
	tcase_add_test(tests, test_kernel);
	tcase_add_test(tests, test_memory_is_no_code);
	tcase_add_test(tests, test_sockets);
	tcase_add_test(tests, test_threads);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
