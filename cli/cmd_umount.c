// SPDX-License-Identifier: MIT
// The node flushes, then this process unmounts: it may wait for that, and see who keeps the mount busy; the node's loop
// may not. The node tells over the same connection that it has noticed.
#include "cli/args.h"
#include "cli/command.h"
#include "cli/holders.h"
#include "cli/mounts.h"
#include "cli/process.h"
#include "cli/stop.h"

#include "node/units.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

struct umount {
	const char *directory; // or NULL: whatever the node has
	const char *path;      // control socket, or NULL
	uint32_t timeout_ms;   // 0: none
	char found[108];       // control socket, by the directory
	struct control control;
};

static int __attribute__((format(printf, 2, 3)))
fail(struct umount *umount, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(umount->control.error, sizeof umount->control.error, format, list);
	va_end(list);
	return -1;
}

// The answers of a flush, then {"ok":true,"mount":DIR}. Returns it, or NULL.
static json_t *
flush(struct umount *umount)
{
	struct control *control = &umount->control;
	char text[UNITS_TEXT_SIZE];
	json_t *request = json_pack("{ss}", "command", "unmount");
	if (umount->timeout_ms > 0)
		json_object_set_new(request, "timeout_ms", json_integer(umount->timeout_ms));
	if (control_ask(control, request) != 0)
		return NULL;
	for (;;) {
		json_t *answer = control_receive(control);
		if (answer == NULL && control_is_too_late(control))
			fail(umount, "not everything could be brought to the root within %s; it stays mounted",
				units_print_duration(umount->timeout_ms, text));
		if (answer == NULL || json_is_true(json_object_get(answer, "ok")))
			return answer;
		stop_print_waiting(command_umount.name, json_object_get(answer, "waiting"));
		json_decref(answer);
	}
}

static int
unmount_now(const char *directory)
{
	const char *const argv[] = { "fusermount3", "-u", "-q", "--", directory, NULL };
	if (geteuid() == 0)
		return umount2(directory, UMOUNT_NOFOLLOW) == 0 ? 0 : errno;
	int status = process_run(argv, PROCESS_HIDE, NULL, 0);
	return status == 0 ? 0 : status < 0 ? errno : EBUSY; // it does not tell which
}

static int
unmount(struct umount *umount, const char *directory)
{
	int sys_errno = unmount_now(directory);
	if (sys_errno == 0)
		return 0;
	if (sys_errno != EBUSY)
		return fail(umount, "%s: %s", directory, strerror(sys_errno));
	fprintf(stderr, "hvfs umount: %s is busy:\n", directory);
	if (holders_print(stderr, "  ", directory) == 0)
		fprintf(stderr, "  who uses it can not be seen by this user\n");
	return fail(umount, "%s stays mounted; everything written before is at the root", directory);
}

// The node has noticed; it goes on for its children, or it stops now.
static int
see_it_gone(struct umount *umount)
{
	struct control *control = &umount->control;
	json_t *answer = control_receive(control);
	if (answer == NULL)
		return -1;
	bool stopping = json_is_true(json_object_get(answer, "stopping"));
	json_decref(answer);
	if (umount->timeout_ms > 0)
		control_set_patience(control, (uint64_t)umount->timeout_ms + STOP_END_MS);
	return stopping ? stop_wait(control, command_umount.name) : 0;
}

static int
run_open(struct umount *umount)
{
	json_t *answer;
	control_set_patience(&umount->control, umount->timeout_ms);
	answer = flush(umount);
	if (answer == NULL)
		return -1;
	const char *mount = json_string_value(json_object_get(answer, "mount"));
	int result;
	if (mount == NULL)
		result = fail(umount, "the node does not say what it has mounted");
	else if (umount->directory != NULL && strcmp(mount, umount->directory) != 0)
		result = fail(umount, "the node has %s mounted, not %s", mount, umount->directory);
	else
		result = unmount(umount, mount);
	json_decref(answer);
	return result == 0 ? see_it_gone(umount) : -1;
}

static int
run(struct umount *umount, const char *word)
{
	char directory[4096], error[1024];
	if (word != NULL) {
		if (mounts_find(word, directory, umount->found, error, sizeof error) != 0)
			return command_fail(&command_umount, "%s", error);
		umount->directory = directory;
		if (umount->path == NULL && umount->found[0] != '\0')
			umount->path = umount->found;
	}
	int status = EXIT_DONE;
	if (control_open(&umount->control, umount->path) != 0 || run_open(umount) != 0)
		status = command_fail(&command_umount, "%s", umount->control.error);
	control_close(&umount->control);
	return status;
}

static int
umount_run(int argc, char **argv)
{
	enum { FLAG_CONTROL, FLAG_TIMEOUT };
	static const struct arg_flag flags[] = { { "control", 0, true }, { "timeout", 0, true }, { .name = NULL } };
	struct umount umount = { .path = NULL };
	const char *word = NULL, *value;
	char why[160];
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_umount, "%s", args.error);
		if (flag == ARGS_WORD && word != NULL)
			return command_usage(&command_umount, "%s: a second DIR; one at a time", value);
		if (flag == ARGS_WORD)
			word = value;
		else if (flag == FLAG_CONTROL)
			umount.path = value;
		else if (units_parse_duration(value, &umount.timeout_ms, why, sizeof why) != 0)
			return command_usage(&command_umount, "--timeout %s: %s", value, why);
	}
	return run(&umount, word);
}

const struct command command_umount = {
	.name = "umount",
	.usage = "umount [DIR] [--timeout DURATION] [--control PATH]",
	.summary = "flush and unmount a node; it goes on for its children",
	.help = "Everything written there goes to the root, then the mount goes. A node that has no children ends; one that has\n"
		"goes on for them. A mount that is in use stays, and who uses it is listed.\n\n"
		"  DIR                 the mount (default: that of the node of --control)\n"
		"  --timeout DURATION  give up after this; then the mount stays, unless only the end of the node was awaited\n"
		"  --control PATH      the node's control socket (default: DIR's; this host's node, or the only one)\n",
	.run = umount_run,
};
