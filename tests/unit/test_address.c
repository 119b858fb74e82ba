// SPDX-License-Identifier: MIT
#include "net/address.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

// ---- Assertions ----

static struct address
parsed(const char *text)
{
	struct address address;
	char error[256] = "";

	ck_assert_msg(address_parse(text, &address, error, sizeof(error)) == 0, "%s", error);
	ck_assert_str_eq(address.text, text);
	return address;
}

// Refused, with a sentence that names the text and ${part}.
static void
refused(const char *text, const char *part)
{
	struct address address;
	char error[512] = "";

	ck_assert_msg(address_parse(text, &address, error, sizeof(error)) == -1, "'%s' was taken", text);
	ck_assert_msg(strstr(error, part) != NULL, "'%s': %s", text, error);
}

// ---- Cases ----

START_TEST(test_tcp)
{
	struct address address = parsed("host.example:7000");

	ck_assert(!address.is_unix);
	ck_assert_str_eq(address.host, "host.example");
	ck_assert_str_eq(address.port, "7000");
	address = parsed("[2001:db8::1]:65535");
	ck_assert_str_eq(address.host, "2001:db8::1");
	ck_assert_str_eq(address.port, "65535");
}
END_TEST

START_TEST(test_unix)
{
	struct address address = parsed("unix:a/b:c.sock");

	ck_assert(address.is_unix);
	ck_assert_str_eq(address.path, "a/b:c.sock");
}
END_TEST

#define PIN "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

START_TEST(test_pinned)
{
	struct address address = parsed(PIN "@[::1]:7000");

	ck_assert(address.is_pinned && address_is_local(&address));
	ck_assert_uint_eq(address.pin.bytes[31], 0xff);
	ck_assert_str_eq(address.host, "::1");
	ck_assert(!parsed("host:7000").is_pinned);
	refused(PIN, "'@' and the address are missing");
	refused(PIN ":7000", "'@' and the address are missing");
	refused(PIN "@", "port is missing");
	refused(PIN "0@host:7000", "no fingerprint");
	refused("sha256:12@host:7000", "64 hex digits");
	refused(PIN "@unix:x", "a unix socket has no key");
	refused("sha512:12@host:7000", "in brackets");
}
END_TEST

START_TEST(test_refused)
{
	char text[600];

	refused("", "HOST:PORT");
	refused("host", "'host'");
	refused("host:", "port ''");
	refused(":7000", "host is missing");
	refused("host:0", "port '0'");
	refused("host:65536", "port '65536'");
	refused("host:70000000000", "port '70000000000'");
	refused("host:7x", "port '7x'");
	refused("host:-1", "port '-1'");
	refused("::1:7000", "brackets");
	refused("[::1]7000", "port is missing");
	refused("[::1:7000", "port is missing");
	refused("[host]:7000", "'host' is no IPv6");
	refused("unix:", "path is missing");
	refused("a\nb:1", "0x0a");
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	refused(text, "599 bytes");
	memcpy(text, "unix:", 5);
	text[200] = '\0';
	refused(text, "195 bytes");
	memset(text, 'a', 300);
	memcpy(text + 300, ":1", 3);
	refused(text, "300 bytes");
}
END_TEST

// The longest path that a unix socket can have is taken.
START_TEST(test_longest_path)
{
	char text[5 + 107 + 1];

	memset(text, 'p', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "unix:", 5);
	ck_assert_uint_eq(strlen(parsed(text).path), 107);
}
END_TEST

START_TEST(test_local)
{
	static const char *const local[] = {"unix:x",      "localhost:1",   "LocalHost:1",
					    "127.0.0.1:1", "127.255.3.4:1", "[::1]:1"};
	static const char *const remote[] = {"0.0.0.0:1",          "128.0.0.1:1",         "[::]:1",
					     "[::ffff:1.2.3.4]:1", "localhost.example:1", "127.example:1"};
	struct address address;

	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++) {
		address = parsed(local[i]);
		ck_assert_msg(address_is_local(&address), "%s", local[i]);
	}
	for (size_t i = 0; i < sizeof(remote) / sizeof(*remote); i++) {
		address = parsed(remote[i]);
		ck_assert_msg(!address_is_local(&address), "%s", remote[i]);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("address");
	TCase *tcase = tcase_create("address");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_tcp);
	tcase_add_test(tcase, test_unix);
	tcase_add_test(tcase, test_pinned);
	tcase_add_test(tcase, test_refused);
	tcase_add_test(tcase, test_longest_path);
	tcase_add_test(tcase, test_local);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
