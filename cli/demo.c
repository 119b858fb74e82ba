// SPDX-License-Identifier: MIT
#include "cli/demo.h"

#include "cli/control.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
	interrupted = number;
}

// A signal does not end the wait for the running program (the terminal has signalled that one as well); no further one is
// run.
static void
catch_signals(void (*handler)(int))
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		sigaction(numbers[i], &action, NULL);
}

int
demo_start(struct demo *demo)
{
	const char *base = getenv("TMPDIR");
	*demo = (struct demo){ .use_loop = false };
	ssize_t size = readlink("/proc/self/exe", demo->program, sizeof demo->program - 1);
	if (size < 0) {
		fprintf(stderr, "hvfs demo: /proc/self/exe: %s\n", strerror(errno));
		return -1;
	}
	// Sockets live here too, and their paths are short.
	if (base == NULL || strlen(base) > 60)
		base = "/tmp";
	snprintf(demo->directory, sizeof demo->directory, "%s/hvfs-demo-XXXXXX", base);
	catch_signals(on_signal);
	if (mkdtemp(demo->directory) == NULL || chdir(demo->directory) != 0) {
		fprintf(stderr, "hvfs demo: %s: %s\n", demo->directory, strerror(errno));
		return -1;
	}
	return 0;
}

void
demo_say(const char *format, ...)
{
	va_list list;
	va_start(list, format);
	putchar('\n');
	vprintf(format, list);
	putchar('\n');
	va_end(list);
}

// ---- Commands ----

// Cut ${words} in place at single spaces, into ${argv}.
static void
split(struct demo *demo, char *words, const char *argv[DEMO_ARGS_MAX])
{
	size_t count = 0;
	for (char *word; (word = strsep(&words, " ")) != NULL && count + 1 < DEMO_ARGS_MAX;)
		argv[count++] = word;
	argv[count] = NULL;
	if (strcmp(argv[0], "hvfs") == 0)
		argv[0] = demo->program;
}

static int
run_quietly(struct demo *demo, const char *words)
{
	char copy[1024];
	const char *argv[DEMO_ARGS_MAX];
	snprintf(copy, sizeof copy, "%s", words);
	split(demo, copy, argv);
	return process_run(argv, PROCESS_HIDE, NULL, 0);
}

static bool
run(struct demo *demo, const char *words, enum process_output output, char *line, size_t line_size)
{
	char copy[1024];
	const char *argv[DEMO_ARGS_MAX];
	if (demo->failed)
		return false;
	printf("  $ %s\n", words);
	snprintf(copy, sizeof copy, "%s", words);
	split(demo, copy, argv);
	int status = process_run(argv, output, line, line_size);
	if (interrupted != 0)
		printf("  interrupted by signal %d\n", (int)interrupted);
	else if (status < 0)
		printf("  could not be run: %s\n", strerror(errno));
	else if (status != 0)
		printf("  failed with status %d\n", status);
	demo->failed = interrupted != 0 || status != 0;
	return !demo->failed;
}

bool
demo_run(struct demo *demo, const char *words)
{
	return run(demo, words, PROCESS_SHOW, NULL, 0);
}

// ---- Nodes ----

bool
demo_serve(struct demo *demo, const char *words, const char *control)
{
	char line[1024];
	if (demo->failed)
		return false;
	// Noted before: a start that is interrupted may still leave a node.
	demo->controls[demo->control_count++] = control;
	snprintf(line, sizeof line, "hvfs serve %s --control %s --log-level warn --daemon", words, control);
	return demo_run(demo, line);
}

static void
forget_control(struct demo *demo, const char *control)
{
	for (size_t i = 0; i < demo->control_count; i++)
		if (demo->controls[i] == control)
			demo->controls[i] = NULL;
}

bool
demo_stop(struct demo *demo, const char *control)
{
	char line[1024];
	snprintf(line, sizeof line, "hvfs stop --control %s", control);
	if (!demo_run(demo, line))
		return false;
	forget_control(demo, control);
	return true;
}

// ---- Loop devices and mounts ----

bool
demo_mount(struct demo *demo, const char *image, const char *flags, const char *options, const char *directory)
{
	char line[1024], *device = demo->devices[demo->device_count];
	snprintf(line, sizeof line, "hvfs attach %s%s", image, flags);
	device[0] = '\0';
	bool attached = run(demo, line, PROCESS_TAKE_LINE, device, sizeof demo->devices[0]);
	// Also when a signal has come meanwhile: what is attached has to be detached.
	if (device[0] != '\0')
		demo->device_count++;
	if (!attached)
		return false;
	printf("  %s\n", device);
	snprintf(line, sizeof line, "mount %s%s %s", options, device, directory);
	demo->mounts[demo->mount_count++] = directory;
	return demo_run(demo, line);
}

// The last mount and the last device belong together.
bool
demo_unmount(struct demo *demo, const char *directory)
{
	char line[1024];
	snprintf(line, sizeof line, "umount %s", directory);
	if (!demo_run(demo, line))
		return false;
	demo->mount_count--;
	snprintf(line, sizeof line, "hvfs detach %s", demo->devices[demo->device_count - 1]);
	if (!demo_run(demo, line))
		return false;
	demo->device_count--;
	return true;
}

// ---- The end ----

// A node that does not stop in order (its parent is gone, say) is killed.
static void
end_node(struct demo *demo, const char *path)
{
	char line[1024];
	struct control control;
	bool answers = control_open(&control, path) == 0;
	if (answers && !demo->failed) {
		snprintf(line, sizeof line, "hvfs stop --control %s", path);
		if (run_quietly(demo, line) == 0) {
			control_close(&control);
			return;
		}
	}
	if (control.pidfd >= 0 && syscall(SYS_pidfd_send_signal, control.pidfd, SIGKILL, NULL, 0) == 0)
		control_wait_gone(&control);
	control_close(&control);
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

// Mounts of nodes that were killed are dead and have to be taken away by hand.
static void
unmount_node(struct demo *demo, const char *directory)
{
	char line[1024];
	snprintf(line, sizeof line, "fusermount3 -u -z -q %s/%s", demo->directory, directory);
	run_quietly(demo, line);
}

void
demo_clean_up(struct demo *demo)
{
	char line[1024];
	catch_signals(SIG_IGN);
	while (demo->mount_count > 0) {
		snprintf(line, sizeof line, "umount -q %s", demo->mounts[--demo->mount_count]);
		run_quietly(demo, line);
	}
	while (demo->device_count > 0) {
		snprintf(line, sizeof line, "hvfs detach --force %s", demo->devices[--demo->device_count]);
		run_quietly(demo, line);
	}
	for (size_t i = demo->control_count; i-- > 0;)
		if (demo->controls[i] != NULL)
			end_node(demo, demo->controls[i]);
	static const char *const node_mounts[] = { "r", "l1", "l2" };
	for (size_t i = 0; demo->failed && i < sizeof node_mounts / sizeof *node_mounts; i++)
		unmount_node(demo, node_mounts[i]);
	if (chdir("/") == 0 && nftw(demo->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
		fprintf(stderr, "hvfs demo: %s is left behind: %s\n", demo->directory, strerror(errno));
}
