// SPDX-License-Identifier: MIT
// allow and deny: the same words but for the right.
#include "cli/args.h"
#include "cli/command.h"
#include "cli/control.h"

#include <stdio.h>
#include <string.h>

struct words {
	const char *list[3]; // VOLUME PEER RIGHT
	int count;
	const char *control, *label;
};

static const char *
string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));
	return value != NULL ? value : "?";
}

static int
read_words(const struct command *command, int wanted, int argc, char **argv, struct words *words)
{
	enum { FLAG_CONTROL, FLAG_LABEL };
	const struct arg_flag flags[] = { { "control", 0, true }, { wanted == 3 ? "label" : NULL, 0, true }, { .name = NULL } };
	const char *value;
	struct args args;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(command, "%s", args.error);
		if (flag == FLAG_CONTROL)
			words->control = value;
		else if (flag == FLAG_LABEL)
			words->label = value;
		else if (words->count == wanted)
			return command_usage(command, "%s: not expected; right would be: hvfs %s", value, command->usage);
		else
			words->list[words->count++] = value;
	}
	if (words->count < wanted)
		return command_usage(command, "something is missing; right would be: hvfs %s", command->usage);
	return EXIT_DONE;
}

static json_t *
make_request(const struct command *command, const struct words *words)
{
	json_t *request = json_pack("{ssssss}", "command", command->name, "volume", words->list[0], "peer", words->list[1]);
	if (request != NULL && words->list[2] != NULL)
		json_object_set_new(request, "right", json_string(words->list[2]));
	if (request != NULL && words->label != NULL)
		json_object_set_new(request, "label", json_string(words->label));
	return request;
}

static int
change(struct control *control, json_t *request, const struct words *words)
{
	if (control_ask(control, request) != 0)
		return -1;
	json_t *answer = control_receive(control);
	if (answer == NULL)
		return -1;
	printf("%s, volume %s: %s (was %s)", words->list[1], words->list[0], string(answer, "is"), string(answer, "was"));
	if (json_is_string(json_object_get(answer, "file")))
		printf("; written to %s\n", string(answer, "file"));
	else
		printf("; this lasts as long as the node runs (serve --acl FILE would keep it)\n");
	json_decref(answer);
	return 0;
}

static int
run(const struct command *command, int wanted, int argc, char **argv)
{
	struct words words = { .count = 0 };
	int status = read_words(command, wanted, argc, argv, &words);
	if (status != EXIT_DONE)
		return status;
	json_t *request = make_request(command, &words);
	if (request == NULL)
		return command_usage(command, "a word is not UTF-8");
	struct control control;
	if (control_open(&control, words.control) != 0) {
		json_decref(request);
		status = command_fail(command, "%s", control.error);
	} else if (change(&control, request, &words) != 0) {
		status = command_fail(command, "%s", control.error);
	}
	control_close(&control);
	return status;
}

static int
allow_run(int argc, char **argv)
{
	return run(&command_allow, 3, argc, argv);
}

static int
deny_run(int argc, char **argv)
{
	return run(&command_deny, 2, argc, argv);
}

const struct command command_allow = {
	.name = "allow",
	.usage = "allow VOLUME PEER RIGHT [--label TEXT] [--control PATH]",
	.summary = "give a peer a right to a volume, or change it",
	.help = "In force at once, and kept in the file of 'serve --acl'. VOLUME is a name, or * for all that have no line of their own.\n"
		"PEER is sha256:HEX (a key's fingerprint, as 'hvfs keygen' and 'hvfs status' print it) or uid:N (a user of this\n"
		"machine). RIGHT is none, proxy (a sealed volume), read or read-write. From a peer that gets less than it had, everything beyond that is called\n"
		"back first, within a lease; then it has to connect anew.\n\n"
		"  --label TEXT    a name for people, shown beside the peer\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = allow_run,
};

const struct command command_deny = {
	.name = "deny",
	.usage = "deny VOLUME PEER [--control PATH]",
	.summary = "take a peer's right to a volume away",
	.help = "In force at once, and kept in the file of 'serve --acl'. What the peer has of the volume is called back first, so that\n"
		"what it has written and not sent comes home; then its link is closed. If it gives nothing back within a lease, what\n"
		"it has not sent is lost to the volume, as when a host is away for too long. A peer that has no right left to any\n"
		"volume does not get a connection any more.\n\n"
		"  --control PATH  the node's control socket (default: this host's node, or the only one)\n",
	.run = deny_run,
};
