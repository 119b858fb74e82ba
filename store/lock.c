// SPDX-License-Identifier: MIT
// Open-file-description locks. The system does not say who holds one (a daemon's lock was taken by a parent that is long
// gone), so the holder is looked for in /proc, for the sake of the error message only.
#include "store/lock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

int
lock_take(int fd, bool shared)
{
	struct flock lock = {.l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	return errno == EACCES ? EAGAIN : errno;
}

static void
on_alarm(int number)
{
	(void)number; // it ends the waiting
}

// A timer that interrupts this thread after ${ms}, and then again and again: the first one might come before it waits.
static int
start_timer(unsigned ms, timer_t *ret_timer)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	const struct itimerspec due = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L},
				       .it_interval = {.tv_nsec = 100000000L}};

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, ret_timer) != 0)
		return -1;
	return timer_settime(*ret_timer, 0, &due, NULL);
}

int
lock_take_within(int fd, bool shared, unsigned ms)
{
	struct flock lock = {.l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	struct sigaction action = {.sa_handler = on_alarm}, action_before;
	sigset_t alarm, before;
	timer_t timer;
	int sys_errno = EAGAIN;

	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	sigaction(SIGALRM, &action, &action_before);
	pthread_sigmask(SIG_UNBLOCK, &alarm, &before);
	if (start_timer(ms, &timer) == 0) {
		if (fcntl(fd, F_OFD_SETLKW, &lock) == 0)
			sys_errno = 0;
		else if (errno != EINTR)
			sys_errno = errno;
		timer_delete(timer);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	sigaction(SIGALRM, &action_before, NULL);
	return sys_errno;
}

bool
lock_is_shared(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

// Does ${info}, a file of /proc/PID/fdinfo, tell of a lock on ${wanted}? Its "lock:" lines end with the device and the
// inode, MAJOR:MINOR:INODE, and the range. (To look at /proc/PID/fd/N itself would ask the file system behind it, and
// that may be a mount whose server does not answer.)
static bool
tells_lock(const char *info, const struct stat *wanted)
{
	FILE *file = fopen(info, "re");
	char line[256];
	bool found = false;

	if (file == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		unsigned major_number, minor_number;
		unsigned long long inode;

		found = sscanf(line, "lock: %*s %*s %*s %*s %*s %x:%x:%llu", &major_number, &minor_number, &inode) == 3 &&
			makedev(major_number, minor_number) == wanted->st_dev && inode == wanted->st_ino;
	}
	fclose(file);
	return found;
}

static bool
holds_lock(const char *pid, const struct stat *wanted)
{
	char path[600];
	struct dirent *entry;
	DIR *dir;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fdinfo", pid);
	dir = opendir(path);
	if (dir == NULL)
		return false;
	while (!found && (entry = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%s", pid, entry->d_name);
		found = entry->d_name[0] != '.' && tells_lock(path, wanted);
	}
	closedir(dir);
	return found;
}

pid_t
lock_find_holder(int fd)
{
	struct stat wanted;
	struct dirent *entry;
	DIR *proc;
	pid_t holder = 0;

	if (fstat(fd, &wanted) < 0 || (proc = opendir("/proc")) == NULL)
		return 0;
	while (holder == 0 && (entry = readdir(proc)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && holds_lock(entry->d_name, &wanted))
			holder = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	closedir(proc);
	return holder;
}
