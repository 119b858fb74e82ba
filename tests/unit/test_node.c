// SPDX-License-Identifier: MIT
// Nodes without mounts, each in a process of its own, seen through their control sockets.
#include "node/log.h"
#include "node/node.h"
#include "store/store.h"

#include <check.h>
#include <errno.h>
#include <dirent.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VOLUME_SIZE = 1 << 20, PATIENCE_S = 30 };

// ---- Fixture: a directory with one store in it ----

static char directory[] = "/tmp/hvfs-node-XXXXXX";
static char error[2048];

static const char *
path_of(const char *name)
{
	static char paths[8][400];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static void
setup(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_msg(store_create(path_of("disk.img"), VOLUME_SIZE, 4096, error, sizeof(error)) == 0, "%s", error);
}

static void
teardown(void)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlink(path_of(entry->d_name));
	closedir(dir);
	ck_assert_int_eq(rmdir(directory), 0);
}

// ---- Helpers ----

static struct address
address_of(const char *format, const char *part)
{
	struct address address;
	char text[300];

	snprintf(text, sizeof(text), format, part);
	ck_assert_msg(address_parse(text, &address, error, sizeof(error)) == 0, "%s", error);
	return address;
}

static struct node_config *
config_new(const char *name)
{
	struct node_config *config = calloc(1, sizeof(*config));

	node_config_default(config);
	snprintf(config->name, sizeof(config->name), "%s", name);
	snprintf(config->control, sizeof(config->control), "%s/%s.ctl", directory, name);
	config->io_timeout_ms = 1000;
	return config;
}

static void
add_volume(struct node_config *config, const char *name, const char *store)
{
	struct node_volume *volume = &config->volumes[config->volume_count++];

	snprintf(volume->name, sizeof(volume->name), "%s", name);
	if (store != NULL)
		snprintf(volume->store, sizeof(volume->store), "%s", path_of(store));
}

static struct node_config *
config_root(void)
{
	struct node_config *config = config_new("root");

	add_volume(config, "v", "disk.img");
	config->listens[config->listen_count++] = address_of("unix:%s", path_of("root.sock"));
	return config;
}

static struct node_config *
config_child(const char *name, const char *parent)
{
	struct node_config *config = config_new(name);

	add_volume(config, "v", NULL);
	config->parents[config->parent_count++] = address_of("unix:%s", path_of(parent));
	return config;
}

// A node in a process of its own. Lines from it: "ready", or "failed: …", or "refused: …".
struct process {
	pid_t pid;
	FILE *lines;
};

static void
say_ready(void *arg)
{
	dprintf(*(int *)arg, "ready\n");
}

static void
say_failed(void *arg, const char *text)
{
	dprintf(*(int *)arg, "failed: %s\n", text);
}

static int
run(const struct node_config *config, int fd)
{
	struct node *node = node_create(config, say_ready, say_failed, &fd, error, sizeof(error));
	int status;

	if (node == NULL) {
		dprintf(fd, "refused: %s\n", error);
		return 9;
	}
	status = node_run(node);
	node_destroy(node);
	return status;
}

static struct process
start(struct node_config *config)
{
	struct process process;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	process.pid = fork();
	if (process.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		_exit(run(config, fds[1]));
	}
	close(fds[1]);
	process.lines = fdopen(fds[0], "r");
	free(config);
	return process;
}

static const char *
line_of(struct process *process)
{
	static char line[2048];

	return fgets(line, sizeof(line), process->lines) != NULL ? line : "(it ended)\n";
}

static struct process
start_ready(struct node_config *config)
{
	struct process process = start(config);
	const char *line = line_of(&process);

	ck_assert_str_eq(line, "ready\n");
	return process;
}

// Wait for its end; its exit status.
static int
ended(struct process *process)
{
	int status;

	ck_assert_int_eq(waitpid(process->pid, &status, 0), process->pid);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	fclose(process->lines);
	return WEXITSTATUS(status);
}

static int
connect_control(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = PATIENCE_S};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/%s.ctl", directory, name);
	while (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		ck_assert_int_eq(errno, ECONNREFUSED); // it is there before it listens
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static void
say(int fd, const char *text)
{
	ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

// The next line as an object, or NULL at the end of the connection.
static json_t *
hear(int fd)
{
	static char line[1 << 20];
	size_t used = 0;
	json_t *object;

	while (used < sizeof(line) && recv(fd, line + used, 1, 0) == 1 && line[used] != '\n')
		used++;
	if (used == 0)
		return NULL;
	object = json_loadb(line, used, 0, NULL);
	ck_assert_msg(json_is_object(object), "%.*s", (int)used, line);
	return object;
}

static json_t *
ask(const char *name, const char *request)
{
	int fd = connect_control(name);
	json_t *answer;

	say(fd, request);
	answer = hear(fd);
	close(fd);
	return answer;
}

static void
error_has(json_t *answer, const char *part)
{
	const char *text = json_string_value(json_object_get(answer, "error"));

	ck_assert_msg(text != NULL && strstr(text, part) != NULL, "%s has no '%s'", text, part);
	json_decref(answer);
}

static void
stop(const char *name, struct process *process)
{
	json_t *answer = ask(name, "{\"command\":\"stop\"}\n");

	ck_assert_ptr_nonnull(answer);
	ck_assert(json_is_true(json_object_get(answer, "ok")));
	json_decref(answer);
	ck_assert_int_eq(ended(process), 0);
}

// node_create refuses ${config} with a sentence that has ${part}.
static void
refused(struct node_config *config, const char *part)
{
	struct process process = start(config);
	const char *line = line_of(&process);

	ck_assert_msg(strncmp(line, "refused: ", 9) == 0 && strstr(line, part) != NULL, "%s has no '%s'", line, part);
	ck_assert_int_eq(ended(&process), 9);
}

// ---- Cases ----

START_TEST(test_refused)
{
	struct node_config *config = config_root();

	config->listens[0] = address_of("0.0.0.0:%s", "7000");
	refused(config, "--listen 0.0.0.0:7000: without a key links are neither authenticated nor encrypted");
	config = config_new("n");
	refused(config, "nothing to serve");
	add_volume(config = config_new("n"), "v", NULL);
	refused(config, "--volume v: no STORE");
	add_volume(config = config_root(), "v", "disk.img");
	refused(config, "--volume v: given twice");
	add_volume(config = config_new("n"), "a/b", "disk.img");
	refused(config, "--volume a/b");
	add_volume(config = config_new("n"), "v", "missing.img");
	refused(config, "missing.img");
	config = config_root();
	config->hb_ttl_ms = 1;
	refused(config, "--hb-ttl 1ms");
	config = config_root();
	config->levels[0].size = 1;
	refused(config, "--cache mem:1");
	config = config_root();
	snprintf(config->mount, sizeof(config->mount), "%s/nowhere", directory);
	refused(config, "nowhere");
}
END_TEST

// What a refused node made is gone again; the next one finds everything free.
START_TEST(test_nothing_left_behind)
{
	struct node_config *config = config_root();
	struct process root;

	snprintf(config->mount, sizeof(config->mount), "%s/nowhere", directory);
	refused(config, "nowhere");
	ck_assert_int_ne(access(path_of("root.ctl"), F_OK), 0);
	ck_assert_int_ne(access(path_of("root.sock"), F_OK), 0);
	root = start_ready(config_root());
	stop("root", &root);
	ck_assert_int_ne(access(path_of("root.ctl"), F_OK), 0);
	ck_assert_int_ne(access(path_of("root.sock"), F_OK), 0);
}
END_TEST

START_TEST(test_in_use)
{
	struct process root = start_ready(config_root());
	struct node_config *config = config_root();

	refused(config, "disk.img"); // the store is locked
	config = config_child("root", "root.sock");
	refused(config, "root.ctl: in use");
	stop("root", &root);
}
END_TEST

START_TEST(test_status)
{
	static const char *const keys[] = {"name", "role", "block_size", "size", "dirty_bytes", "parent", "children", "cache"};
	struct process root = start_ready(config_root());
	json_t *status = ask("root", "{\"command\":\"status\"}\n");
	json_t *volume = json_array_get(json_object_get(status, "volumes"), 0);
	json_t *level = json_array_get(json_object_get(volume, "cache"), 0);
	struct stat control;

	ck_assert_str_eq(json_string_value(json_object_get(status, "node")), "root");
	ck_assert_int_eq(json_integer_value(json_object_get(status, "pid")), root.pid);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		ck_assert_msg(json_object_get(volume, keys[i]) != NULL, "%s", keys[i]);
	ck_assert_str_eq(json_string_value(json_object_get(volume, "role")), "root");
	ck_assert_int_eq(json_integer_value(json_object_get(volume, "size")), VOLUME_SIZE);
	ck_assert_int_eq(json_integer_value(json_object_get(volume, "block_size")), 4096);
	ck_assert_str_eq(json_string_value(json_object_get(level, "kind")), "mem");
	ck_assert_int_gt(json_integer_value(json_object_get(level, "size")), 0);
	json_decref(status);
	ck_assert_int_eq(stat(path_of("root.ctl"), &control), 0);
	ck_assert_uint_eq(control.st_mode & 0777, 0600);
	stop("root", &root);
}
END_TEST

// Nonsense gets an error each time, and the node goes on.
START_TEST(test_nonsense)
{
	struct process root = start_ready(config_root());
	char *large = malloc(10000);
	int fd;

	error_has(ask("root", "{\"command\":\"dance\"}\n"), "dance");
	error_has(ask("root", "hello\n"), "no JSON");
	error_has(ask("root", "[1]\n"), "command");
	error_has(ask("root", "{\"command\":7}\n"), "command");
	error_has(ask("root", "{\"command\":\"flush\",\"volume\":\"w\"}\n"), "volume w");
	error_has(ask("root", "{\"command\":\"flush\",\"volume\":[]}\n"), "not a string");
	memset(large, 'x', 9999);
	large[9999] = '\0';
	fd = connect_control("root");
	say(fd, large);
	error_has(hear(fd), "longer than");
	close(fd);
	free(large);
	stop("root", &root);
}
END_TEST

// Several requests in one go, answered in order, also when the client has already closed its direction.
START_TEST(test_many_requests)
{
	struct process root = start_ready(config_root());
	int fd = connect_control("root");
	json_t *answer;

	say(fd, "{\"command\":\"flush\"}\n{\"command\":\"status\"}\n{\"command\":\"flush\",\"volume\":\"v\"}\n");
	shutdown(fd, SHUT_WR);
	for (int flush = 0; flush < 2; flush++) {
		while ((answer = hear(fd)) != NULL && json_object_get(answer, "dirty_bytes") != NULL)
			json_decref(answer);
		ck_assert(json_is_true(json_object_get(answer, "ok")));
		json_decref(answer);
		if (flush == 0) {
			answer = hear(fd);
			ck_assert_ptr_nonnull(json_object_get(answer, "volumes"));
			json_decref(answer);
		}
	}
	ck_assert_ptr_null(hear(fd)); // and then it is closed
	close(fd);
	stop("root", &root);
}
END_TEST

START_TEST(test_signal)
{
	struct process root = start_ready(config_root());

	kill(root.pid, _i == 0 ? SIGTERM : SIGINT);
	ck_assert_int_eq(ended(&root), 0);
}
END_TEST

// A child that is there first waits for its parent; through a proxy that was not told of the volume.
START_TEST(test_child_first)
{
	struct node_config *proxy_config = config_new("proxy");
	struct process leaf = start(config_child("leaf", "proxy.sock")), proxy, root;
	json_t *status, *volume, *child;

	proxy_config->parents[proxy_config->parent_count++] = address_of("unix:%s", path_of("root.sock"));
	proxy_config->listens[proxy_config->listen_count++] = address_of("unix:%s", path_of("proxy.sock"));
	proxy = start_ready(proxy_config);
	root = start_ready(config_root());
	ck_assert_str_eq(line_of(&leaf), "ready\n");
	status = ask("leaf", "{\"command\":\"status\"}\n");
	volume = json_array_get(json_object_get(status, "volumes"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(volume, "role")), "leaf");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(volume, "parent"), "state")), "connected");
	ck_assert_int_eq(json_integer_value(json_object_get(volume, "size")), VOLUME_SIZE);
	json_decref(status);
	status = ask("proxy", "{\"command\":\"status\"}\n");
	volume = json_array_get(json_object_get(status, "volumes"), 0);
	child = json_array_get(json_object_get(volume, "children"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(child, "name")), "leaf");
	ck_assert_str_eq(json_string_value(json_object_get(child, "state")), "connected");
	json_decref(status);
	stop("leaf", &leaf);
	stop("proxy", &proxy);
	stop("root", &root);
}
END_TEST

// A stop does not need the parent when there is nothing to bring up.
START_TEST(test_stop_without_parent)
{
	struct process root = start_ready(config_root());
	struct process leaf = start_ready(config_child("leaf", "root.sock"));
	struct process lonely = start(config_child("lonely", "nobody.sock"));

	kill(root.pid, SIGKILL);
	ck_assert_int_eq(waitpid(root.pid, NULL, 0), root.pid);
	fclose(root.lines);
	stop("leaf", &leaf);
	while (access(path_of("lonely.ctl"), F_OK) != 0) // it may still be starting
		ck_assert_int_eq(kill(lonely.pid, 0), 0);
	stop("lonely", &lonely);
}
END_TEST

START_TEST(test_unknown_volume)
{
	struct process root = start_ready(config_root());
	struct node_config *config = config_child("leaf", "root.sock");
	struct process leaf;
	const char *line;

	snprintf(config->volumes[0].name, sizeof(config->volumes[0].name), "other");
	leaf = start(config);
	line = line_of(&leaf);
	ck_assert_msg(strncmp(line, "failed: --volume other", 22) == 0, "%s", line);
	ck_assert_int_eq(ended(&leaf), 1);
	stop("root", &root);
}
END_TEST

// The parent's address belongs to something else.
START_TEST(test_foreign_parent)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2 and so on, and so on\r\n";
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	struct process leaf;
	const char *line;

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/ssh", directory);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	leaf = start(config_child("leaf", "ssh"));
	fd = accept(listener, NULL, NULL);
	ck_assert_int_eq(send(fd, banner, sizeof(banner), MSG_NOSIGNAL), sizeof(banner));
	line = line_of(&leaf);
	ck_assert_msg(strncmp(line, "failed: ", 8) == 0 && strstr(line, "does not speak hvfs") != NULL, "%s", line);
	ck_assert_int_eq(ended(&leaf), 1);
	close(fd);
	close(listener);
}
END_TEST

// Somebody who sends garbage to a node is sent away; the others do not notice.
START_TEST(test_foreign_child)
{
	struct process root = start_ready(config_root()), leaf;
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char bytes[4096];

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/root.sock", directory);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	say(fd, "GET / HTTP/1.1\r\nHost: somewhere.example\r\nAccept: everything\r\n\r\n");
	while (recv(fd, bytes, sizeof(bytes), 0) > 0)
		;
	close(fd);
	leaf = start_ready(config_child("leaf", "root.sock"));
	stop("leaf", &leaf);
	stop("root", &root);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("node");
	TCase *tcase = tcase_create("node");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_refused);
	tcase_add_test(tcase, test_nothing_left_behind);
	tcase_add_test(tcase, test_in_use);
	tcase_add_test(tcase, test_status);
	tcase_add_test(tcase, test_nonsense);
	tcase_add_test(tcase, test_many_requests);
	tcase_add_loop_test(tcase, test_signal, 0, 2);
	tcase_add_test(tcase, test_child_first);
	tcase_add_test(tcase, test_stop_without_parent);
	tcase_add_test(tcase, test_unknown_volume);
	tcase_add_test(tcase, test_foreign_parent);
	tcase_add_test(tcase, test_foreign_child);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
