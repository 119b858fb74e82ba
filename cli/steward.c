// SPDX-License-Identifier: MIT
// Node and steward share a socket on which each record is a command: a letter, and a path. It is answered by one byte
// when it is done.
#include "cli/steward.h"

#include "node/node.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOCKETS_MAX = 32, COMMAND_SIZE_MAX = 1 + PATH_MAX };
enum { SET_MOUNT = 'm', ADD_SOCKET = 's', SEAL = 'l', UNMOUNT = 'u', END = 'e' };

extern char **environ;

// What the process knows.
struct duty {
	char mount[PATH_MAX]; // "": none
	uint64_t mount_id;
	struct {
		char path[108];
		dev_t device;
		ino_t inode;
	} sockets[SOCKETS_MAX];
	size_t socket_count;
	bool sealed;
};

// ---- What is done ----

static void
run_fusermount(const char *path)
{
	char *argv[] = { (char *)"fusermount3", (char *)"-u", (char *)"-z", (char *)"-q", (char *)"--", (char *)path, NULL };
	pid_t pid;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0)
		waitpid(pid, NULL, 0);
}

// Another one may be there by now.
static void
unmount(const struct duty *duty)
{
	if (duty->mount_id == 0 || node_find_mount(duty->mount) != duty->mount_id)
		return;
	if (geteuid() == 0)
		umount2(duty->mount, MNT_DETACH | UMOUNT_NOFOLLOW);
	else
		run_fusermount(duty->mount);
}

static void
remove_sockets(const struct duty *duty)
{
	struct stat st;
	for (size_t i = 0; i < duty->socket_count; i++)
		if (lstat(duty->sockets[i].path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == duty->sockets[i].device &&
		    st.st_ino == duty->sockets[i].inode)
			unlink(duty->sockets[i].path);
}

static void
add_socket(struct duty *duty, const char *path)
{
	struct stat st;
	if (duty->socket_count == SOCKETS_MAX || strlen(path) >= sizeof duty->sockets[0].path || lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return;
	strcpy(duty->sockets[duty->socket_count].path, path);
	duty->sockets[duty->socket_count].device = st.st_dev;
	duty->sockets[duty->socket_count++].inode = st.st_ino;
}

static void
learn(struct duty *duty, char command, const char *path)
{
	if (command == SEAL)
		duty->sealed = true;
	if (command == ADD_SOCKET)
		add_socket(duty, path);
	if (command == SET_MOUNT) {
		memcpy(duty->mount, path, strlen(path) + 1); // a command is not longer
		duty->mount_id = node_find_mount(path);
	}
}

// ---- The process ----

// It holds nothing open that is the node's: neither locks, nor the ends of pipes that others wait for.
static void
let_go(int fd)
{
	int null = open("/dev/null", O_RDWR);
	for (int std = 0; null >= 0 && std <= STDERR_FILENO; std++)
		dup2(null, std);
	dup2(fd, STDERR_FILENO + 1);
	close_range(STDERR_FILENO + 2, ~0U, 0);
	fcntl(STDERR_FILENO + 1, F_SETFD, FD_CLOEXEC);
}

static void __attribute__((noreturn))
serve(void)
{
	static struct duty duty;
	static char command[COMMAND_SIZE_MAX + 1];
	ssize_t size;
	while ((size = recv(STDERR_FILENO + 1, command, COMMAND_SIZE_MAX, 0)) > 0 || (size < 0 && errno == EINTR)) {
		if (size < 0)
			continue;
		command[size] = '\0';
		if (!duty.sealed)
			learn(&duty, command[0], command + 1);
		if (command[0] == UNMOUNT)
			unmount(&duty);
		if (command[0] == END)
			remove_sockets(&duty);
		if (send(STDERR_FILENO + 1, "", 1, MSG_NOSIGNAL) != 1 || command[0] == END)
			break;
	}
	_exit(0);
}

// Signals of a terminal, and those to a whole group, are the node's.
static void
ignore_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		signal(numbers[i], SIG_IGN);
}

int
steward_start(struct steward *steward, char *error, size_t error_size)
{
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
		snprintf(error, error_size, "socketpair: %s", strerror(errno));
		return -1;
	}
	pid_t pid = fork();
	if (pid < 0) {
		snprintf(error, error_size, "fork: %s", strerror(errno));
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (pid == 0) {
		ignore_signals();
		prctl(PR_SET_NAME, "hvfs-steward");
		let_go(ends[1]);
		serve();
	}
	close(ends[1]);
	*steward = (struct steward){ .fd = ends[0], .pid = pid };
	return 0;
}

// ---- The node's side ----

// Returns when it is done, or when there is no steward any more.
static void
tell(struct steward *steward, char letter, const char *path)
{
	char command[COMMAND_SIZE_MAX], answer;
	int size = snprintf(command, sizeof command, "%c%s", letter, path);
	if (steward->fd < 0 || (size_t)size >= sizeof command)
		return;
	if (send(steward->fd, command, (size_t)size, MSG_NOSIGNAL) != size)
		return;
	while (recv(steward->fd, &answer, 1, 0) < 0 && errno == EINTR)
		;
}

void
steward_set_mount(struct steward *steward, const char *path)
{
	tell(steward, SET_MOUNT, path);
}

void
steward_add_socket(struct steward *steward, const char *path)
{
	tell(steward, ADD_SOCKET, path);
}

void
steward_seal(struct steward *steward)
{
	tell(steward, SEAL, "");
}

void
steward_unmount(struct steward *steward)
{
	tell(steward, UNMOUNT, "");
}

void
steward_end(struct steward *steward)
{
	if (steward->fd < 0)
		return;
	tell(steward, END, "");
	close(steward->fd);
	steward->fd = -1;
	while (waitpid(steward->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
