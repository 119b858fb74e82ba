// SPDX-License-Identifier: MIT
#include "cli/args.h"
#include "cli/command.h"
#include "cli/passphrase.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { WORDS = 2, ERROR_SIZE = PATH_MAX + 512 };

struct request {
	const char *words[WORDS];
	const char *role, *passphrase_file, *encrypt_with;
	bool encrypt, as_json;
};

static int
fail(const char *error)
{
	return command_fail(&command_volume_key, "%s", error);
}

// ---- Keys and their passphrases ----

// The passphrase of what is read: from a file, or asked for. None when none is needed.
static int
find_passphrase(const struct request *request, const struct volume_key_file *file, const char *path,
		struct passphrase *ret)
{
	char error[ERROR_SIZE];
	struct volume_key_cost cost;

	if (!volume_key_file_is_protected(file, &cost))
		return 0;
	if (request->passphrase_file != NULL) {
		if (passphrase_read(request->passphrase_file, ret, error, sizeof error) != 0)
			return fail(error);
		return 0;
	}
	if (passphrase_ask(path, false, ret, error, sizeof error) != 0)
		return command_fail(&command_volume_key, "%s: %s", path, error);
	return 0;
}

// The passphrase for what is written, if it is to have one.
static int
find_new_passphrase(const struct request *request, const char *path, struct passphrase *ret)
{
	char error[ERROR_SIZE];

	if (request->encrypt_with != NULL) {
		if (passphrase_read(request->encrypt_with, ret, error, sizeof error) != 0)
			return fail(error);
		return 0;
	}
	if (request->encrypt && passphrase_ask(path, true, ret, error, sizeof error) != 0)
		return command_fail(&command_volume_key, "%s: %s", path, error);
	return 0;
}

// The key of ${path}, and the passphrase that opened it.
static int
open_key(const struct request *request, const char *path, struct volume_key **ret, struct passphrase *passphrase,
	 struct volume_key_cost *cost)
{
	char error[ERROR_SIZE];
	struct volume_key_file *file = volume_key_file_load(path, error, sizeof error);
	int status;

	if (file == NULL)
		return fail(error);
	*cost = VOLUME_KEY_COST_DEFAULT;
	volume_key_file_is_protected(file, cost);
	status = find_passphrase(request, file, path, passphrase);
	if (status == EXIT_DONE) {
		*ret = volume_key_file_open(file, *passphrase, error, sizeof error);
		if (*ret == NULL)
			status = fail(error);
	}
	volume_key_file_destroy(file);
	return status;
}

static int
print_json(const char *path, const struct volume_key *key, enum volume_role role, const struct volume_key_cost *cost)
{
	char id[VOLUME_KEY_ID_TEXT_SIZE], text[FINGERPRINT_TEXT_SIZE], *line;
	struct fingerprint fingerprint;
	json_t *name = json_string(path), *generations = json_array(), *object;

	for (uint32_t i = 1; i <= volume_key_newest(key); i++) {
		if (volume_key_fingerprint(key, i, &fingerprint) != 0)
			return fail("OpenSSL does not take an Ed25519 key");
		json_array_append_new(generations, json_pack("{siss}", "number", (int)i, "fingerprint",
							     fingerprint_print(&fingerprint, text)));
	}
	object = json_pack("{sosssssbso}", "file", name != NULL ? name : json_string("?"), "volume",
			   volume_key_id_print(volume_key_id(key), id), "role", volume_role_name(role), "passphrase",
			   cost != NULL, "generations", generations);
	line = json_dumps(object, JSON_COMPACT);
	puts(line != NULL ? line : "{}");
	free(line);
	json_decref(object);
	return EXIT_DONE;
}

// What may be known of a key.
static int
print_key(const struct request *request, const char *path, const struct volume_key *key, enum volume_role role,
	  const struct volume_key_cost *cost)
{
	char text[FINGERPRINT_TEXT_SIZE];
	struct fingerprint fingerprint;

	if (request->as_json)
		return print_json(path, key, role, cost);
	printf("volume      %s\nrole        %s\n", volume_key_id_print(volume_key_id(key), text),
	       volume_role_name(role));
	if (cost != NULL)
		printf("passphrase  yes (Argon2id: %u passes, %u KiB)\n", cost->passes, cost->memory / 1024);
	else
		printf("passphrase  %s\n", role == VOLUME_ROLE_PROXY ? "no (there are no secrets in it)" : "no");
	for (uint32_t i = 1; i <= volume_key_newest(key); i++) {
		if (volume_key_fingerprint(key, i, &fingerprint) != 0)
			return fail("OpenSSL does not take an Ed25519 key");
		printf("generation  %u %s\n", i, fingerprint_print(&fingerprint, text));
	}
	return EXIT_DONE;
}

// Write ${key} to ${path}, and say what it is.
static int
write_key(const struct request *request, const char *path, bool replace, const struct volume_key *key,
	  struct passphrase passphrase, struct volume_key_cost cost)
{
	char error[ERROR_SIZE];
	enum volume_role role = volume_key_role(key);
	bool protect = passphrase.size > 0 && role > VOLUME_ROLE_PROXY;

	if ((replace ? volume_key_file_replace : volume_key_file_create)(path, key, passphrase, cost, error,
									 sizeof error) != 0)
		return fail(error);
	return print_key(request, path, key, role, protect ? &cost : NULL);
}

// ---- What it does ----

static int
run_new(const struct request *request)
{
	const char *path = request->words[0];
	struct request with = *request;
	struct passphrase passphrase = {NULL, 0};
	struct volume_key *key;
	int status;

	if (with.encrypt_with == NULL)
		with.encrypt_with = with.passphrase_file;
	status = find_new_passphrase(&with, path, &passphrase);
	if (status != EXIT_DONE)
		return status;
	key = volume_key_create();
	if (key != NULL)
		status = write_key(request, path, false, key, passphrase, VOLUME_KEY_COST_DEFAULT);
	else
		status = fail("no memory for secrets");
	volume_key_destroy(key);
	passphrase_wipe(&passphrase);
	return status;
}

static int
export_part(const struct request *request, const struct volume_key *key, enum volume_role role)
{
	const char *path = request->words[1];
	struct passphrase passphrase = {NULL, 0};
	struct volume_key *part;
	int status;

	if (role > volume_key_role(key))
		return command_fail(&command_volume_key, "%s: is a %s's key, a %s's can not be made of it",
				    request->words[0], volume_role_name(volume_key_role(key)), volume_role_name(role));
	if (role == VOLUME_ROLE_PROXY && (request->encrypt || request->encrypt_with != NULL))
		return fail("--role proxy: there are no secrets in it, a passphrase would protect nothing");
	status = find_new_passphrase(request, path, &passphrase);
	if (status != EXIT_DONE)
		return status;
	part = volume_key_restrict(key, role);
	status = part != NULL ? write_key(request, path, false, part, passphrase, VOLUME_KEY_COST_DEFAULT)
			      : fail("no memory for secrets");
	volume_key_destroy(part);
	passphrase_wipe(&passphrase);
	return status;
}

static int
run_export(const struct request *request)
{
	struct passphrase passphrase = {NULL, 0};
	struct volume_key_cost cost;
	struct volume_key *key = NULL;
	enum volume_role role;
	int status;

	if (request->role == NULL)
		return command_usage(&command_volume_key, "export: for whom? --role proxy, reader, writer or owner");
	if (volume_role_parse(request->role, &role) != 0)
		return command_usage(&command_volume_key, "--role %s: right would be proxy, reader, writer or owner",
				     request->role);
	status = open_key(request, request->words[0], &key, &passphrase, &cost);
	if (status == EXIT_DONE)
		status = export_part(request, key, role);
	volume_key_destroy(key);
	passphrase_wipe(&passphrase);
	return status;
}

// The key that is there already, as far as it can be known without its passphrase, may be replaced by ${next}?
static int
check_replaced(const struct request *request, const char *path, const char *bundle, const struct volume_key *next)
{
	char error[ERROR_SIZE];
	struct volume_key_file *file = volume_key_file_load(path, error, sizeof error);
	struct volume_key_cost cost;
	enum volume_role role;
	int status = EXIT_DONE;

	if (file == NULL)
		return fail(error);
	role = volume_key_file_role(file);
	if (volume_key_check_successor(volume_key_file_public(file), next, error, sizeof error) != 0)
		status = command_fail(&command_volume_key, "%s: the key %s; %s stays as it is", bundle, error, path);
	else if (volume_key_role(next) < role)
		status = command_fail(&command_volume_key,
				      "%s: is a %s's, which has less than the %s's in %s, which stays as it is", bundle,
				      volume_role_name(volume_key_role(next)), volume_role_name(role), path);
	else if (volume_key_file_is_protected(file, &cost) && !request->encrypt && request->encrypt_with == NULL)
		status = command_fail(&command_volume_key,
				      "%s: is protected by a passphrase, and what follows it would not be: --encrypt "
				      "or --encrypt-with FILE",
				      path);
	volume_key_file_destroy(file);
	return status;
}

static int
run_import(const struct request *request)
{
	const char *bundle = request->words[0], *path = request->words[1];
	struct passphrase passphrase = {NULL, 0}, new_passphrase = {NULL, 0};
	struct volume_key_cost cost;
	struct volume_key *key = NULL;
	bool replace = access(path, F_OK) == 0;
	int status = open_key(request, bundle, &key, &passphrase, &cost);

	if (status == EXIT_DONE && replace)
		status = check_replaced(request, path, bundle, key);
	if (status == EXIT_DONE)
		status = find_new_passphrase(request, path, &new_passphrase);
	if (status == EXIT_DONE)
		status = write_key(request, path, replace, key, new_passphrase, VOLUME_KEY_COST_DEFAULT);
	volume_key_destroy(key);
	passphrase_wipe(&new_passphrase);
	passphrase_wipe(&passphrase);
	return status;
}

static int
run_rotate(const struct request *request)
{
	const char *path = request->words[0];
	struct passphrase passphrase = {NULL, 0};
	struct volume_key_cost cost;
	struct volume_key *key = NULL;
	int status = open_key(request, path, &key, &passphrase, &cost);

	if (status == EXIT_DONE && volume_key_role(key) != VOLUME_ROLE_OWNER)
		status = command_fail(&command_volume_key,
				      "%s: is a %s's key, and only the owner of a volume adds generations", path,
				      volume_role_name(volume_key_role(key)));
	else if (status == EXIT_DONE && volume_key_newest(key) == VOLUME_KEY_GENERATIONS_MAX)
		status = command_fail(&command_volume_key, "%s: has %d generations, and there can not be more", path,
				      VOLUME_KEY_GENERATIONS_MAX);
	else if (status == EXIT_DONE && volume_key_rotate(key) != 0)
		status = fail("no memory for secrets");
	if (status == EXIT_DONE)
		status = write_key(request, path, true, key, passphrase, cost);
	volume_key_destroy(key);
	passphrase_wipe(&passphrase);
	return status;
}

static int
run_show(const struct request *request)
{
	char error[ERROR_SIZE];
	struct volume_key_cost cost;
	struct volume_key_file *file = volume_key_file_load(request->words[0], error, sizeof error);
	int status;

	if (file == NULL)
		return fail(error);
	status = print_key(request, request->words[0], volume_key_file_public(file), volume_key_file_role(file),
			   volume_key_file_is_protected(file, &cost) ? &cost : NULL);
	volume_key_file_destroy(file);
	return status;
}

// ---- The command line ----

enum { TAKES_ROLE = 1, TAKES_ENCRYPT = 2, TAKES_PASSPHRASE = 4 };

static const struct verb {
	const char *name, *words;
	size_t word_count;
	unsigned takes;
	int (*run)(const struct request *request);
} verbs[] = {
	{"new", "FILE", 1, TAKES_ENCRYPT | TAKES_PASSPHRASE, run_new},
	{"export", "FILE BUNDLE", 2, TAKES_ROLE | TAKES_ENCRYPT | TAKES_PASSPHRASE, run_export},
	{"import", "BUNDLE FILE", 2, TAKES_ENCRYPT | TAKES_PASSPHRASE, run_import},
	{"rotate", "FILE", 1, TAKES_PASSPHRASE, run_rotate},
	{"show", "FILE", 1, 0, run_show},
};

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int
parse_args(const struct verb *verb, struct request *request, int argc, char **argv)
{
	enum { FLAG_ROLE, FLAG_PASSPHRASE, FLAG_ENCRYPT, FLAG_ENCRYPT_WITH, FLAG_JSON };
	static const struct arg_flag flags[] = {{"role", 0, true},     {"passphrase-file", 0, true},
						{"encrypt", 0, false}, {"encrypt-with", 0, true},
						{"json", 0, false},    {.name = NULL}};
	static const unsigned needs[] = {TAKES_ROLE, TAKES_PASSPHRASE, TAKES_ENCRYPT, TAKES_ENCRYPT, 0};
	size_t count = 0;
	struct args args;
	const char *value;

	args_init(&args, argc, argv);
	for (int flag; (flag = args_next(&args, flags, &value)) != ARGS_END;) {
		if (flag == ARGS_ERROR)
			return command_usage(&command_volume_key, "%s", args.error);
		if (flag >= 0 && (needs[flag] & verb->takes) != needs[flag])
			return command_usage(&command_volume_key, "%s: does not take --%s", verb->name,
					     flags[flag].name);
		if (flag == ARGS_WORD && count == verb->word_count)
			return command_usage(&command_volume_key, "%s: one too many for '%s %s'", value, verb->name,
					     verb->words);
		if (flag == ARGS_WORD)
			request->words[count++] = value;
		request->encrypt |= flag == FLAG_ENCRYPT;
		request->as_json |= flag == FLAG_JSON;
		if (flag == FLAG_ROLE || flag == FLAG_PASSPHRASE || flag == FLAG_ENCRYPT_WITH)
			*(flag == FLAG_ROLE         ? &request->role
			  : flag == FLAG_PASSPHRASE ? &request->passphrase_file
						    : &request->encrypt_with) = value;
	}
	if (count < verb->word_count)
		return command_usage(&command_volume_key, "right would be: volume-key %s %s", verb->name, verb->words);
	return EXIT_DONE;
}

static int
volume_key_run(int argc, char **argv)
{
	struct request request = {.role = NULL};
	const struct verb *verb;
	int status;

	if (argc < 1)
		return command_usage(&command_volume_key, "what? new, export, import, rotate or show");
	verb = find_verb(argv[0]);
	if (verb == NULL)
		return command_usage(&command_volume_key, "'%s': right would be new, export, import, rotate or show",
				     argv[0]);
	status = parse_args(verb, &request, argc - 1, argv + 1);
	if (status != EXIT_DONE)
		return status;
	// Keys are in no core, and no debugger of this user gets at them.
	prctl(PR_SET_DUMPABLE, 0);
	return verb->run(&request);
}

const struct command command_volume_key = {
	.name = "volume-key",
	.usage = "volume-key new|rotate|show FILE | export FILE BUNDLE --role ROLE | import BUNDLE FILE",
	.summary = "make, hand out and change the keys of a sealed volume",
	.help = "The keys of a sealed volume are a file with mode 0600, and what others get of it, by their role: an "
		"owner may add\n"
		"generations, a writer write, a reader read, and a proxy tell whether blocks are genuine. Secrets are "
		"never printed.\n\n"
		"  new FILE             a new volume: the owner's key, generation 1\n"
		"  export FILE BUNDLE   what --role proxy, reader, writer or owner may have of it, as a new file\n"
		"  import BUNDLE FILE   keep what one was given; a key that is there may be followed by a newer one of "
		"its volume\n"
		"  rotate FILE          add a generation, for what is written from now on; export it to all who take "
		"part\n"
		"  show FILE            volume, role, generations, and the fingerprints of their public keys\n",
	.more = "\n"
		"  --passphrase-file FILE  whose first line opens the key that is read (new: protects it); asked for "
		"when needed\n"
		"  --encrypt               protect what is written by a passphrase that is asked for\n"
		"  --encrypt-with FILE     or by the first line of FILE\n"
		"  --json                  one object: file, volume, role, passphrase, generations[]\n",
	.run = volume_key_run,
};
