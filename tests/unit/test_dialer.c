// SPDX-License-Identifier: MIT
// Connections come: listening, and dialling until somebody is there.
#include "net/link.h"

#include <arpa/inet.h>
#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WATCHDOG_S = 30 };

static struct event_base *base;
static struct event *watchdog;

static void
bark(evutil_socket_t fd, short what, void *arg)
{
	ck_abort_msg("nothing happened for %d s", WATCHDOG_S);
}

static void
run_until(const unsigned *value, unsigned wanted)
{
	while (*value < wanted)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}

static struct {
	unsigned accepted, connected, failed;
	int accepted_fd, connected_fd;
	char peer[200], why[200], address[600];
} seen;

static char directory[] = "/tmp/hvfs-link-XXXXXX";
static char socket_path[100];

static void
setup_directory(void)
{
	base = event_base_new();
	watchdog = evtimer_new(base, bark, NULL);
	evtimer_add(watchdog, &(struct timeval){.tv_sec = WATCHDOG_S});
	memset(&seen, 0, sizeof(seen));
	memcpy(directory + strlen(directory) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(socket_path, sizeof(socket_path), "%s/s", directory);
}

static void
teardown_directory(void)
{
	unlink(socket_path);
	ck_assert_int_eq(rmdir(directory), 0);
	event_free(watchdog);
	event_base_free(base);
}

static void
on_accepted(void *arg, int fd, const char *peer)
{
	seen.accepted++;
	seen.accepted_fd = fd;
	snprintf(seen.peer, sizeof(seen.peer), "%s", peer);
}

static void
on_connected(void *arg, int fd, const struct address *address)
{
	seen.connected++;
	seen.connected_fd = fd;
	snprintf(seen.address, sizeof(seen.address), "%s", address->text);
}

static void
on_failed(void *arg, const struct address *address, const char *why)
{
	seen.failed++;
	snprintf(seen.why, sizeof(seen.why), "%s", why);
}

static struct address
address_of(const char *format, const char *part)
{
	struct address address;
	char text[300], error[300];

	snprintf(text, sizeof(text), format, part);
	ck_assert_msg(address_parse(text, &address, error, sizeof(error)) == 0, "%s", error);
	return address;
}

static struct listener *
listen_at(const struct address *address)
{
	char error[300] = "";
	struct listener *listener = listener_create(base, address, on_accepted, NULL, error, sizeof(error));

	ck_assert_msg(listener != NULL, "%s", error);
	return listener;
}

// A TCP port that nobody listens on.
static struct address
free_port(void)
{
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char port[8];

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&name, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	close(fd);
	snprintf(port, sizeof(port), "%u", ntohs(name.sin_port));
	return address_of("127.0.0.1:%s", port);
}

static void
close_seen(void)
{
	close(seen.accepted_fd);
	close(seen.connected_fd);
}

// Nobody listens: failures are told, and tried again; then somebody does, and it is found.
START_TEST(test_dial_until_there)
{
	struct address address = _i == 0 ? address_of("unix:%s", socket_path) : free_port();
	struct dialer *dialer = dialer_create(base, &address, 1, on_connected, on_failed, NULL);
	struct listener *listener;

	dialer_start(dialer);
	ck_assert_uint_eq(seen.failed, 0); // not from within the call
	run_until(&seen.failed, 3);
	ck_assert_uint_gt(strlen(seen.why), 0);
	listener = listen_at(&address);
	run_until(&seen.connected, 1);
	run_until(&seen.accepted, 1);
	ck_assert_uint_gt(strlen(seen.peer), 0);
	ck_assert_str_eq(seen.address, address.text);
	ck_assert_int_ne(fcntl(seen.accepted_fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(seen.connected_fd, F_GETFL) & O_NONBLOCK, 0);
	close_seen();
	listener_destroy(listener);
	dialer_destroy(dialer);
}
END_TEST

// The first address is dead, the second answers; after success it stays with the one that worked, and without it
// goes on to the next.
START_TEST(test_dial_in_order)
{
	struct address addresses[2] = {free_port(), address_of("unix:%s", socket_path)};
	struct dialer *dialer = dialer_create(base, addresses, 2, on_connected, on_failed, NULL);
	struct listener *listener = listen_at(&addresses[1]);

	dialer_start(dialer);
	run_until(&seen.connected, 1);
	run_until(&seen.accepted, 1);
	ck_assert_uint_eq(seen.failed, 1);
	ck_assert_str_eq(seen.address, addresses[1].text);
	close_seen();
	dialer_succeeded(dialer);
	dialer_start(dialer);
	run_until(&seen.connected, 2);
	run_until(&seen.accepted, 2);
	ck_assert_uint_eq(seen.failed, 1);
	close_seen();
	dialer_start(dialer);
	run_until(&seen.connected, 3);
	run_until(&seen.accepted, 3);
	ck_assert_uint_eq(seen.failed, 2);
	close_seen();
	listener_destroy(listener);
	dialer_destroy(dialer);
}
END_TEST

// Other addresses while it rests: the next start begins with the first of them.
START_TEST(test_dial_elsewhere)
{
	struct address live = address_of("unix:%s", socket_path);
	struct address addresses[3] = {free_port(), free_port(), live};
	struct dialer *dialer = dialer_create(base, &live, 1, on_connected, on_failed, NULL);
	struct listener *listener = listen_at(&live);

	dialer_start(dialer);
	run_until(&seen.connected, 1);
	run_until(&seen.accepted, 1);
	close_seen();
	dialer_succeeded(dialer);
	dialer_set_addresses(dialer, addresses, 3);
	dialer_start(dialer);
	run_until(&seen.connected, 2);
	run_until(&seen.accepted, 2);
	ck_assert_uint_eq(seen.failed, 2);
	ck_assert_str_eq(seen.address, live.text);
	close_seen();
	listener_destroy(listener);
	dialer_destroy(dialer);
}
END_TEST

// A host that says nothing at all is given up for the next.
START_TEST(test_dial_silent)
{
	struct address addresses[2] = {free_port(), address_of("unix:%s", socket_path)};
	struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)},
				   .sin_port = htons((uint16_t)atoi(addresses[0].port))};
	struct dialer *dialer = dialer_create(base, addresses, 2, on_connected, on_failed, NULL);
	struct listener *listener = listen_at(&addresses[1]);
	int full = socket(AF_INET, SOCK_STREAM, 0), inside = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(full, (struct sockaddr *)&name, sizeof(name)), 0);
	ck_assert_int_eq(listen(full, 0), 0); // one may wait; of the others it takes no notice
	ck_assert_int_eq(connect(inside, (struct sockaddr *)&name, sizeof(name)), 0);
	dialer_set_timeout(dialer, 50);
	dialer_start(dialer);
	run_until(&seen.connected, 1);
	run_until(&seen.accepted, 1);
	ck_assert_uint_eq(seen.failed, 1);
	ck_assert_str_eq(seen.why, strerror(ETIMEDOUT));
	ck_assert_str_eq(seen.address, addresses[1].text);
	close_seen();
	close(full);
	close(inside);
	listener_destroy(listener);
	dialer_destroy(dialer);
}
END_TEST

// A name goes through the lookup thread.
START_TEST(test_dial_name)
{
	struct address address = free_port(), named;
	struct listener *listener = listen_at(&address);
	struct dialer *dialer;

	named = address_of("localhost:%s", address.port);
	dialer = dialer_create(base, &named, 1, on_connected, on_failed, NULL);
	dialer_start(dialer);
	run_until(&seen.connected, 1);
	run_until(&seen.accepted, 1);
	close_seen();
	listener_destroy(listener);
	dialer_destroy(dialer);
}
END_TEST

// Destroyed while the lookup, or the connection, is under way.
START_TEST(test_dial_destroyed)
{
	struct address named = address_of("localhost:%s", "1");
	struct dialer *dialer = dialer_create(base, &named, 1, on_connected, on_failed, NULL);

	dialer_start(dialer);
	event_base_loop(base, EVLOOP_ONCE);
	dialer_destroy(dialer);
	ck_assert_uint_eq(seen.connected, 0);
}
END_TEST

// A socket file that nobody listens on is replaced; its mode lets nobody else in.
START_TEST(test_stale_socket)
{
	struct address address = address_of("unix:%s", socket_path);
	struct listener *listener = listen_at(&address);
	char moved[120];
	struct stat status;

	// What a killed process leaves: the file, under the same name again.
	snprintf(moved, sizeof(moved), "%s.old", socket_path);
	ck_assert_int_eq(rename(socket_path, moved), 0);
	listener_destroy(listener);
	ck_assert_int_eq(rename(moved, socket_path), 0);

	listener = listen_at(&address);
	ck_assert_int_eq(stat(socket_path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	listener_destroy(listener);
	ck_assert_int_ne(access(socket_path, F_OK), 0);
}
END_TEST

// A socket in use, or a file that is none, is an error that names it, and is left alone.
START_TEST(test_socket_in_use)
{
	struct address address = address_of("unix:%s", socket_path);
	struct listener *listener = listen_at(&address);
	char error[300] = "";

	ck_assert_ptr_null(listener_create(base, &address, on_accepted, NULL, error, sizeof(error)));
	ck_assert_msg(strstr(error, socket_path) != NULL && strstr(error, "in use") != NULL, "%s", error);
	ck_assert_int_eq(access(socket_path, F_OK), 0);
	listener_destroy(listener);
	close(open(socket_path, O_CREAT | O_WRONLY, 0600));
	ck_assert_ptr_null(listener_create(base, &address, on_accepted, NULL, error, sizeof(error)));
	ck_assert_msg(strstr(error, "no socket") != NULL, "%s", error);
	ck_assert_int_eq(access(socket_path, F_OK), 0);
}
END_TEST

START_TEST(test_port_in_use)
{
	struct address address = free_port();
	struct listener *listener = listen_at(&address);
	char error[300] = "";

	ck_assert_ptr_null(listener_create(base, &address, on_accepted, NULL, error, sizeof(error)));
	ck_assert_msg(strstr(error, address.text) != NULL, "%s", error);
	listener_destroy(listener);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dialer");
	TCase *sockets = tcase_create("listener and dialer");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(sockets, setup_directory, teardown_directory);
	tcase_set_timeout(sockets, 60);
	tcase_add_loop_test(sockets, test_dial_until_there, 0, 2);
	tcase_add_test(sockets, test_dial_in_order);
	tcase_add_test(sockets, test_dial_elsewhere);
	tcase_add_test(sockets, test_dial_silent);
	tcase_add_test(sockets, test_dial_name);
	tcase_add_test(sockets, test_dial_destroyed);
	tcase_add_test(sockets, test_stale_socket);
	tcase_add_test(sockets, test_socket_in_use);
	tcase_add_test(sockets, test_port_in_use);
	suite_add_tcase(suite, sockets);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
