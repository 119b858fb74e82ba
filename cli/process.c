// SPDX-License-Identifier: MIT
#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// The first line goes to ${line}; the rest is read and dropped, so that the program is not stopped by a full pipe.
static void
take_line(int fd, char *line, size_t line_size)
{
	char bytes[512];
	size_t size = 0;
	bool ended = false;
	for (;;) {
		ssize_t got = read(fd, bytes, sizeof bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got && !ended; i++) {
			ended = bytes[i] == '\n';
			if (!ended && size + 1 < line_size)
				line[size++] = bytes[i];
		}
	}
	line[size] = '\0';
}

static int
wait_for(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
process_run(const char *const argv[], enum process_output output, char *line, size_t line_size)
{
	posix_spawn_file_actions_t actions;
	int ends[2] = { -1, -1 };
	pid_t pid;
	if (output == PROCESS_TAKE_LINE && pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	if (output == PROCESS_HIDE) {
		posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
		posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	} else if (output == PROCESS_TAKE_LINE) {
		posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	}
	fflush(NULL);
	int result = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (output == PROCESS_TAKE_LINE) {
		close(ends[1]);
		if (result == 0)
			take_line(ends[0], line, line_size);
		close(ends[0]);
	}
	if (result == 0)
		return wait_for(pid);
	errno = result;
	return -1;
}

bool
process_exists(const char *program)
{
	const char *path = getenv("PATH");
	char file[4096];
	while (path != NULL && *path != '\0') {
		size_t size = strcspn(path, ":");
		snprintf(file, sizeof file, "%.*s/%s", (int)size, path, program);
		if (access(file, X_OK) == 0)
			return true;
		path += size + (path[size] == ':');
	}
	return false;
}

void
process_extend_path(void)
{
	static const char *const system_directories = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";
	const char *path = getenv("PATH");
	char longer[8192];
	if (path == NULL || path[0] == '\0')
		path = system_directories;
	if ((size_t)snprintf(longer, sizeof longer, "%s:%s", path, system_directories) < sizeof longer)
		setenv("PATH", longer, 1);
}
