// SPDX-License-Identifier: MIT
// A node that was killed leaves its mount behind, dead: whoever looks at it gets ENOTCONN. The next node on the same
// directory takes it away. Only a mount of ours, and only when it is dead for certain.
//
// Nothing tells that without asking the file system, and to ask one whose server hangs is to hang as well. So a child
// process asks, and is waited for with a bound; no answer means not dead.
#include "fuse/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MS = 1000 };

extern char **environ;

// In the child, which may hang: it holds nothing of the parent's open (locks of storage), and the pipe is 3. What the kernel
// still knows of a server that has just died is no answer: the server itself is asked.
static void
ask(const char *path, int pipe_fd)
{
	struct statx st;
	char answer;

	if (dup2(pipe_fd, 3) == 3)
		close_range(4, ~0U, 0);
	answer = statx(AT_FDCWD, path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) != 0 && errno == ENOTCONN;
	_exit(write(3, &answer, 1) != 1);
}

static bool
is_dead(const char *path)
{
	struct pollfd poll_fd = {.events = POLLIN};
	char answer = 0;
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) != 0)
		return false;
	pid = fork();
	if (pid == 0)
		ask(path, fds[1]);
	close(fds[1]);
	poll_fd.fd = fds[0];
	if (pid > 0 && poll(&poll_fd, 1, ANSWER_MS) == 1) {
		if (read(fds[0], &answer, 1) != 1)
			answer = 0;
		waitpid(pid, NULL, 0);
	} else if (pid > 0) {
		kill(pid, SIGKILL); // it ends when the hanging server does
	}
	close(fds[0]);
	return answer == 1;
}

static bool
run_fusermount(const char *path)
{
	char *argv[] = {(char *)"fusermount3", (char *)"-u", (char *)"-z", (char *)"-q",
			(char *)"--",          (char *)path, NULL};
	int status;
	pid_t pid;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
		return false;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool
mount_detach_dead(const char *path, int fd)
{
	char link[64];

	if (!is_dead(path))
		return false;
	if (geteuid() != 0)
		return run_fusermount(path);
	// By the descriptor: by its name it could be the new mount of another node that was as quick.
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return umount2(link, MNT_DETACH) == 0;
}
