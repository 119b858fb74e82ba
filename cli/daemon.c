// SPDX-License-Identifier: MIT
// The two processes share a pipe. One byte 'R' says ready; anything else is the reason why not; an end without a byte
// means that the process died. Until it is ready the background process stays in the first one's process group and dies
// with it, so that an interrupted `serve --daemon` leaves nothing.
#include "cli/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void
write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return; // the first process is gone: nobody to tell
		bytes += written;
		size -= (size_t)written;
	}
}

// Everything until the end or ${room} bytes; the size.
static size_t
read_report(int fd, char *report, size_t room)
{
	size_t size = 0;
	while (size < room) {
		ssize_t got = read(fd, report + size, room - size);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		size += (size_t)got;
	}
	return size;
}

static void
explain_end(pid_t child, const char *report, size_t size, char *error, size_t error_size)
{
	int status = 0;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (size > 0)
		snprintf(error, error_size, "%.*s", (int)size, report);
	else if (WIFSIGNALED(status))
		snprintf(error, error_size, "the node was ended by signal %d before it was ready", WTERMSIG(status));
	else
		snprintf(error, error_size, "the node ended before it was ready");
}

// Wait for the first byte, or the end. False when it took too long.
static bool
wait_for_report(int fd, uint32_t patience_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int timeout = patience_ms == 0 || patience_ms > INT_MAX ? -1 : (int)patience_ms;
	int result;
	while ((result = poll(&poll_fd, 1, timeout)) < 0 && errno == EINTR)
		;
	return result != 0;
}

static int
judge_report(pid_t child, int fd, bool in_time, const char *late, char *error, size_t error_size)
{
	char report[2048];
	if (!in_time)
		kill(child, SIGTERM);
	size_t size = read_report(fd, report, sizeof report);
	close(fd);
	// It may have become ready while it was told to end; then it is not, and ends.
	if (in_time && size == 1 && report[0] == 'R')
		return 1;
	explain_end(child, report, size, error, error_size);
	if (!in_time)
		snprintf(error, error_size, "%s", late);
	return -1;
}

int
daemon_start(struct daemon *daemon, uint32_t patience_ms, const char *late, char *error, size_t error_size)
{
	int ends[2];
	pid_t first = getpid();
	daemon->report_fd = -1;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		snprintf(error, error_size, "pipe: %s", strerror(errno));
		return -1;
	}
	pid_t child = fork();
	if (child < 0) {
		snprintf(error, error_size, "fork: %s", strerror(errno));
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (child > 0) {
		close(ends[1]);
		bool in_time = wait_for_report(ends[0], patience_ms);
		return judge_report(child, ends[0], in_time, late, error, error_size);
	}
	close(ends[0]);
	daemon->report_fd = ends[1];
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != first)
		_exit(EXIT_FAILURE);
	return 0;
}

int
daemon_log_to(const char *path, char *error, size_t error_size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
		snprintf(error, error_size, "--log-file %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static void
leave_terminal(const char *log_file)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	if (log_file[0] == '\0') {
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	if (null > STDERR_FILENO)
		close(null);
}

void
daemon_ready(struct daemon *daemon, const char *log_file, const char *directory)
{
	if (daemon->report_fd < 0)
		return;
	prctl(PR_SET_PDEATHSIG, 0);
	setsid();
	if (directory != NULL && chdir(directory) != 0)
		fprintf(stderr, "hvfs: chdir %s: %s\n", directory, strerror(errno));
	leave_terminal(log_file);
	write_all(daemon->report_fd, "R", 1);
	close(daemon->report_fd);
	daemon->report_fd = -1;
}

void
daemon_failed(struct daemon *daemon, const char *reason)
{
	if (daemon->report_fd < 0)
		return;
	write_all(daemon->report_fd, reason, strlen(reason));
	close(daemon->report_fd);
	daemon->report_fd = -1;
}
