// SPDX-License-Identifier: MIT
// Writes the seeds of corpus/session: what happens in the life of a root, of a node in the middle, and of two nodes
// with somebody between them, mostly honest; and each form of message to each of them.
#include "core/io.h"
#include "tests/fuzz/session_grammar.h"
#include "tests/fuzz/session_script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;
static uint8_t script[RECORDS_MAX * RECORD_SIZE];
static size_t script_size;

enum {
	ALL = AUTO_ANSWER | AUTO_STORE | AUTO_RELAY | AUTO_ROOM | AUTO_START,
	READ = PERM_READ + 1, // as choices: 0 is honest
	WRITE = PERM_WRITE + 1,
	NO = PERM_NO + 1,
	NEWER = 6 << 3, // a version that the root has not seen
};

#define RECORD(...) append((const uint8_t[RECORD_SIZE]){__VA_ARGS__})
#define FORGE(slot, form, block, count, perm, ...) \
	RECORD(DO_FORGE, AT(0, slot), grammar_form(form), block, (count) | (perm) << 4, __VA_ARGS__)
#define WAIT(which) RECORD(DO_TIME, which)
#define IO(node, kind, at, size) RECORD(DO_IO, AT(node, 0), kind, at, 0, size)

// In times[] of fuzz_session.c.
enum {
	MS_1,
	US_1,
	MS_20,
	MS_100,
	MS_200,
	MS_500,
	S_1,
	S_2,
	S_5,
	BEAT,
	LEASE_4TH,
	LEASE_HALF,
	LEASE_ALMOST,
	LEASE,
	MARGIN,
	TTL_HALF,
	TTL,
	LEASE_OVER,
	S_30,
	DEADLINE
};
// In do_io.
enum { BYTES_512, BYTES_1, BYTES_4096, BYTES_511, BYTES_513, BYTES_1024, BYTES_8192, BYTES_16384, BYTES_65536 };

static void
append(const uint8_t *record)
{
	memcpy(script + script_size, record, RECORD_SIZE);
	script_size += RECORD_SIZE;
}

static void
begin(uint8_t mode, uint8_t automatic, uint8_t cache, uint8_t leases, uint8_t grace, uint8_t limits)
{
	script_size = 0;
	RECORD(mode, automatic, cache, leases, grace, limits);
}

static void
save(const char *name)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (!file || fwrite(script, 1, script_size, file) != script_size || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

// ---- A root ----

static void
root_sharing(void)
{
	begin(MODE_ROOT, ALL, 0, 0, 0, 0);
	FORGE(1, "get", 0, 5, 0, 0);
	FORGE(2, "get", 1, 4, 0, 0);
	FORGE(3, "get", 0, 1, WRITE, 0);
	IO(0, IO_READ, 0, BYTES_4096);
	FORGE(1, "lock", 1, 0, WRITE, 0);
	FORGE(2, "release", 1, 4, 0, 0);
	FORGE(3, "flush", 0, 1, 0, 0);
	FORGE(3, "barrier", 0, 0, 0, 0);
	FORGE(1, "disconnect", 0, 0, 0, 0);
	save("root-sharing");

	begin(MODE_ROOT, AUTO_STORE | AUTO_ROOM | AUTO_START, 0, 0, 0, 0);
	FORGE(1, "get", 0, 2, WRITE, 0);
	FORGE(2, "get", 0, 2, READ, 0);
	FORGE(3, "put", 0, 2, 0, 0);
	FORGE(1, "flush", 0, 2, NO, 0);
	RECORD(DO_ANSWER, AT(0, 1));
	RECORD(DO_ANSWER, AT(0, 1));
	RECORD(DO_ANSWER, AT(0, 2));
	FORGE(2, "lock", 0, 2, WRITE, 0);
	RECORD(DO_ANSWER, AT(0, 3));
	RECORD(DO_ANSWER, AT(0, 2));
	WAIT(S_1);
	save("root-recall-by-hand");

	begin(MODE_ROOT, ALL, 0, 0, 0, 0);
	FORGE(1, "get", 0, 3, READ, 0);
	FORGE(2, "get", 0, 3, READ, 0);
	RECORD(DO_AUTO, AUTO_STORE);
	FORGE(1, "lock", 0, 3, WRITE, 0);
	FORGE(2, "lock", 0, 3, WRITE, 0);
	RECORD(DO_ANSWER, AT(0, 2));
	RECORD(DO_ANSWER, AT(0, 1));
	FORGE(1, "flush", 0, 3, NO, 0);
	save("root-two-upgrades");
}

static void
root_writing(void)
{
	begin(MODE_ROOT, AUTO_ANSWER | AUTO_START, 0, 0, 0, 2);
	FORGE(1, "put-bytes", 0, 3, 0, 0);
	FORGE(1, "flush-sync", 0, 3, 0, 0);
	FORGE(1, "barrier", 0, 0, 0, 0);
	IO(0, IO_WRITE, 2, BYTES_4096);
	IO(0, IO_SYNC, 0, 0);
	WAIT(MS_100);
	RECORD(DO_STORE, 0, 0, 0);
	RECORD(DO_STORE, 0, 1, 0);
	RECORD(DO_STORE, 0, 2, 0);
	WAIT(MS_200);
	RECORD(DO_STORE, 0, 0, 0);
	RECORD(DO_STORE, 0, 0, 0);
	FORGE(1, "flush", 0, 3, READ, 0);
	RECORD(DO_STORE, 0, 0, 0);
	save("root-store-by-hand");

	begin(MODE_ROOT, ALL, 1, 0x10, 0x80, 4);
	IO(0, IO_WRITE, 1, BYTES_8192);
	IO(0, IO_READ, 0, BYTES_65536);
	IO(0, IO_READ, 0x80, BYTES_512);
	IO(0, IO_READ | 4, 4, BYTES_16384);
	IO(0, IO_ZERO, 1, BYTES_4096);
	IO(0, IO_ZERO | 4, 0, BYTES_16384);
	IO(0, IO_WRITE | 8, 6, BYTES_513);
	IO(0, IO_SYNC, 0, 0);
	RECORD(DO_CANCEL, 0);
	WAIT(S_5);
	save("root-own-requests");
}

static void
root_coming_and_going(void)
{
	begin(MODE_ROOT, ALL, 0, 0, 0, 0);
	FORGE(1, "get", 0, 3, WRITE, 0);
	FORGE(1, "put-bytes", 8, 3, WRITE, 0);
	RECORD(DO_DOWN, AT(0, 1));
	FORGE(2, "get", 0, 1, WRITE, 0);
	RECORD(DO_UP, AT(0, 1));
	FORGE(1, "connect", 0, 0, 0, 0);
	RECORD(DO_REPLAY, AT(0, 1) | 1 << 3);
	FORGE(1, "flush", 0, 3, 0, 0);
	RECORD(DO_DOWN, AT(0, 1));
	WAIT(LEASE_OVER);
	RECORD(DO_UP, AT(0, 1));
	FORGE(1, "connect", 0, 0, 0, 0);
	FORGE(1, "claim", 0, 3, 0, 0);
	FORGE(1, "resend", 8, 3, 0, 0);
	FORGE(1, "claims-end", 0, 0, 0, 0);
	save("root-resume");

	begin(MODE_ROOT, AUTO_STORE | AUTO_ROOM | AUTO_START | AUTO_LATE, 4, 1, 0, 0);
	FORGE(1, "get", 0, 3, WRITE, 0);
	FORGE(2, "get", 0, 3, READ, 0);
	WAIT(LEASE_HALF);
	FORGE(2, "heartbeat", 0, 0, 0, 0);
	WAIT(LEASE_OVER);
	FORGE(2, "get", 0, 9, READ, 0);
	FORGE(2, "get", 0, 15, READ, 0);
	RECORD(DO_TIME, LEASE_OVER, 1);
	FORGE(2, "connect", 0, 0, 0, 0, 0x10);
	save("root-lapse");

	begin(MODE_ROOT, ALL, 0, 0, 0x10, 0x18);
	FORGE(1, "claim", 0, 3, 0, 0);
	FORGE(2, "claim", 0, 3, 0, 2 << 3);
	FORGE(3, "get", 0, 2, 0, 0);
	FORGE(1, "resend", 5, 3, 0, 0);
	FORGE(1, "claims-end", 0, 0, 0, 0);
	FORGE(3, "claims-end", 0, 0, 0, 0);
	IO(0, IO_READ, 1, BYTES_4096);
	WAIT(S_1);
	RECORD(DO_EVICTED, 0);
	save("root-grace");

	begin(MODE_ROOT, ALL, 0, 0, 0, 0);
	FORGE(1, "get", 0, 15, WRITE, 0);
	FORGE(2, "get", 12, 0, READ, 0);
	FORGE(2, "get", 15, 15, READ, 0);
	FORGE(2, "get", 19, 0, READ, 0, 4);
	FORGE(3, "put-bytes", 14, 6, 0, 4);
	RECORD(DO_STOP, 0);
	FORGE(1, "flush", 0, 15, NO, 0);
	FORGE(1, "get", 0, 0, 0, 0);
	WAIT(S_1);
	save("root-ends-and-stop");
}

static void
root_claims(void)
{
	static const char *const names[] = {"root-claim-let-go", "root-claim-kept", "root-claim-absent"};

	for (unsigned i = 0; i < 3; i++) {
		begin(MODE_ROOT, AUTO_STORE | AUTO_ROOM | AUTO_START, 0, 0, 0, 0);
		FORGE(1, "get", 0, 3, WRITE, 0);
		if (i == 2) {
			FORGE(3, "heartbeat", 0, 0, 0, 0);
			RECORD(DO_DOWN, AT(0, 1));
		}
		FORGE(2, "claim", 0, 3, 0, NEWER);
		FORGE(3, "get", 0, 3, 0, 0);
		FORGE(3, "claim", 0, 1, 0, NEWER, 0, 1);
		RECORD(DO_ANSWER, AT(0, 1), i == 1 ? (uint8_t)(grammar_form("error-blocks") + 1) : 0, 0, 0, 0, 0,
		       i == 1 ? 2 : 0);
		if (i == 2) {
			WAIT(LEASE_HALF);
			FORGE(2, "heartbeat", 0, 0, 0, 0);
			FORGE(3, "heartbeat", 0, 0, 0, 0);
			WAIT(LEASE_HALF);
			FORGE(3, "heartbeat", 0, 0, 0, 0);
			WAIT(LEASE_HALF);
		}
		RECORD(DO_EVICTED, 0, i == 2);
		RECORD(DO_UP, AT(0, 1));
		FORGE(1, "connect", 0, 0, 0, 0);
		FORGE(1, "claim", 0, 3, 0, 0);
		WAIT(S_1);
		save(names[i]);
	}

	begin(MODE_ROOT, AUTO_STORE | AUTO_ROOM | AUTO_START, 0, 2, 0x10, 0);
	FORGE(1, "claim", 0, 3, 0, 0, 0, 1);
	FORGE(2, "claim", 0, 3, 0, 2 << 3, 0, 1);
	FORGE(3, "claim", 2, 3, 0, 5 << 3, 0, 1);
	FORGE(3, "eviction", 0, 0, 0, 0);
	RECORD(DO_EVICTED, 0, 0);
	WAIT(S_1);
	save("root-grace-lapsed");

	begin(MODE_ROOT, ALL & ~AUTO_START, 0, 2, 0, 0);
	RECORD(DO_UP, AT(0, 1));
	RECORD(DO_UP, AT(0, 2));
	FORGE(1, "connect", 0, 0, 0, 0);
	FORGE(1, "get", 0, 3, WRITE, 0);
	FORGE(1, "connect", 0, 0, 0, 0);
	RECORD(DO_REPLAY, AT(0, 1), 1);
	FORGE(2, "flush", 0, 3, 0, 0);
	save("root-old-link");

	begin(MODE_ROOT, ALL, 0, 2, 0, 0);
	FORGE(1, "put-bytes", 0, 3, 0, 0);
	FORGE(2, "get-digest", 0, 3, 0, 0);
	FORGE(2, "get-digest", 0, 3, 0, 0, 0, 1);
	FORGE(2, "get-digest", 0, 3, 0, 0, 0, 3);
	save("root-digest");
}

static void
root_crowding(void)
{
	begin(MODE_ROOT, AUTO_START, 4 | 3, 2, 0, 0);
	FORGE(1, "get", 0, 15, 0, 0);
	RECORD(DO_ROOM, AT(0, 1), 255);
	RECORD(DO_STORE, 0, 0, 7);
	FORGE(1, "get", 0, 14, 0, 0);
	RECORD(DO_STORE, 0, 0, 7);
	RECORD(DO_ROOM, AT(0, 1), 0);
	FORGE(1, "disconnect", 0, 0, 0, 0);
	FORGE(1, "connect", 0, 0, 0, 0);
	FORGE(1, "get", 0, 15, 0, 0);
	save("root-full-link");

	begin(MODE_ROOT, AUTO_START | AUTO_STORE, 0, 0, 0, 0);
	FORGE(1, "get", 0, 0, WRITE, 0);
	FORGE(3, "get", 0, 0, READ, 0);
	RECORD(DO_REPEAT, 0, 4, 16);
	FORGE(2, "get", 0, 10, WRITE, 0);
	RECORD(DO_DOWN, AT(0, 2));
	RECORD(DO_UP, AT(0, 2));
	FORGE(2, "connect", 0, 0, 0, 0);
	FORGE(1, "flush", 0, 0, NO, 0);
	RECORD(DO_ANSWER, AT(0, 1));
	save("root-queue");

	begin(MODE_ROOT, AUTO_START | AUTO_STORE, 4, 2, 0, 0);
	FORGE(1, "get", 0, 3, WRITE, 0);
	FORGE(3, "get", 0, 3, WRITE, 0);
	RECORD(DO_REPEAT, 0, 4, 200);
	FORGE(2, "get", 0, 3, WRITE, 0);
	RECORD(DO_DOWN, AT(0, 2));
	RECORD(DO_UP, AT(0, 2));
	FORGE(2, "connect", 0, 0, 0, 0);
	save("root-many-requests-given-up");

	begin(MODE_ROOT, AUTO_START | AUTO_STORE, 0, 2, 0, 0);
	RECORD(DO_ROOM, AT(0, 1), 255);
	for (uint8_t i = 0; i < 12; i++) {
		RECORD(DO_MODIFY, MODIFY_SET, PRESENT_INDEX_BLOCK_NUM, 0, 0, 0, i, 0);
		FORGE(1, "get", 0, 10, 0, 0);
		FORGE(1, "disconnect", 0, 0, 0, 0);
		FORGE(1, "connect", 0, 0, 0, 0);
	}
	save("root-room-for-nobody");

	begin(MODE_ROOT, AUTO_START, 3 << 2 | 3, 2, 0, 0);
	for (uint8_t i = 0; i < 4; i++) {
		RECORD(DO_MODIFY, MODIFY_SET, PRESENT_INDEX_BLOCK_NUM, 0, 0, 0, (uint8_t)(i << 2), 0);
		FORGE(1, "get", 0, 13, 0, 0);
		FORGE(1, "disconnect", 0, 0, 0, 0);
		FORGE(1, "connect", 0, 0, 0, 0);
	}
	FORGE(2, "get", 23, 3, 0, 0);
	RECORD(DO_AUTO, AUTO_STORE | AUTO_ROOM);
	save("root-reads-for-nobody");

	begin(MODE_NODE, AUTO_START | AUTO_ANSWER, 0, 2, 0, 0);
	RECORD(DO_AUTO, 0);
	for (uint8_t i = 0; i < 16; i++) {
		RECORD(DO_MODIFY, MODIFY_SET, PRESENT_INDEX_BLOCK_NUM, 0, 0, 0, i, 0);
		FORGE(1, "get", 0, 10, 0, 0);
		FORGE(1, "disconnect", 0, 0, 0, 0);
		FORGE(1, "connect", 0, 0, 0, 0);
	}
	save("node-credits-for-nobody");

	begin(MODE_NODE, AUTO_START | AUTO_ANSWER, 3 << 2, 2, 0, 0);
	RECORD(DO_AUTO, 0);
	FORGE(2, "claim", 0, 10, 0, 0);
	RECORD(DO_REPEAT, 0, 4, 30);
	FORGE(1, "claim", 21, 15, 0, 0);
	RECORD(DO_DOWN, AT(0, 1));
	RECORD(DO_UP, AT(0, 1));
	FORGE(1, "connect", 0, 0, 0, 0);
	save("node-claims-for-nobody");

	begin(MODE_NODE, AUTO_START | AUTO_ANSWER, 4, 3, 0, 0);
	FORGE(1, "get", 0, 3, WRITE, 0);
	RECORD(DO_AUTO, 0);
	RECORD(DO_REPEAT, 0, 2, 40);
	FORGE(1, "flush-sync", 0, 3, 0, 0);
	FORGE(1, "barrier", 0, 0, 0, 0);
	save("node-flushes");

	begin(MODE_ROOT, AUTO_START, 0, 0, 0, 0);
	RECORD(DO_RAW, AT(0, 1), 3);
	RECORD(OP_GET, 32, 0, FLAG_PARAMS, 0, 0, 0, 1);
	RECORD(0, 0, 0, 5, 0, PARAM_VOLUME_ID, 0, 4);
	RECORD(0, 0, 0, 100, 0, 0, 0, 0);
	RECORD(DO_RAW, AT(0, 2), 2);
	RECORD('G', 'E', 'T', ' ', '/', ' ', 'H', 'T');
	RECORD('T', 'P', '/', '1', '.', '1', '\r', '\n');
	save("root-raw");
}

// ---- A node in the middle ----

static void
node_own(void)
{
	begin(MODE_NODE, ALL, 0, 0, 0, 4);
	IO(0, IO_READ, 1, BYTES_4096);
	IO(0, IO_WRITE, 1, BYTES_4096);
	IO(0, IO_WRITE, 8, BYTES_1);
	IO(0, IO_ZERO, 3, BYTES_8192);
	IO(0, IO_WRITE | 8, 40, BYTES_1024);
	IO(0, IO_SYNC, 0, 0);
	FORGE(0, "invalidate", 0, 5, 0, 0);
	WAIT(MS_200);
	FORGE(0, "invalidate", 4, 5, READ, 0);
	RECORD(DO_SET, 0, 1);
	IO(0, IO_WRITE, 2, BYTES_4096);
	WAIT(S_5);
	save("node-own-requests");

	begin(MODE_NODE, AUTO_ROOM | AUTO_START | AUTO_ANSWER, 0x20, 0, 0, 4);
	IO(0, IO_WRITE, 2, BYTES_1024);
	RECORD(DO_AUTO, 0);
	IO(0, IO_WRITE, 2, BYTES_1024);
	IO(0, IO_WRITE, 6, BYTES_513);
	FORGE(0, "invalidate", 1, 2, 0, 0);
	RECORD(DO_ANSWER, AT(0, 0));
	RECORD(DO_ANSWER, AT(0, 0), 0, 0, 0, 1);
	RECORD(DO_ANSWER, AT(0, 0), grammar_form("error-blocks") + 1);
	RECORD(DO_ANSWER, AT(0, 0), grammar_form("error") + 1, 0, 0, 0, 0, 2);
	RECORD(DO_ANSWER, AT(0, 0));
	WAIT(MS_200);
	RECORD(DO_ANSWER, AT(0, 0));
	RECORD(DO_ANSWER, AT(0, 0));
	save("node-answers-by-hand");

	begin(MODE_NODE, ALL, 0, 1, 0x80, 0);
	for (uint8_t at = 0; at < 64; at += 16)
		IO(0, IO_READ, at, BYTES_4096);
	IO(0, IO_READ | 4, 0, BYTES_8192);
	WAIT(TTL);
	IO(0, IO_READ, 0, BYTES_4096);
	IO(0, IO_READ, 0xff, BYTES_4096);
	WAIT(S_2);
	save("node-reading-on");
}

static void
node_recovery(void)
{
	begin(MODE_NODE, AUTO_ROOM, 0x10, 0x20, 0, 4);
	RECORD(DO_UP, AT(0, 0));
	RECORD(DO_MODIFY, MODIFY_ADD, PRESENT_INDEX_CONNECT_FLAGS, 4);
	RECORD(DO_ANSWER, AT(0, 0));
	RECORD(DO_MODIFY, MODIFY_ADD, PRESENT_INDEX_CONNECT_FLAGS, 4);
	RECORD(DO_ANSWER, AT(0, 0));
	RECORD(DO_AUTO, AUTO_ANSWER | AUTO_ROOM);
	IO(0, IO_WRITE, 2, BYTES_1024);
	IO(0, IO_WRITE, 6, BYTES_1024);
	WAIT(MS_100);
	IO(0, IO_WRITE, 12, BYTES_1024);
	WAIT(MS_100);
	IO(0, IO_SYNC, 0, 0);
	save("node-forwards");

	begin(MODE_NODE, ALL, 0, 4, 0, 4);
	IO(0, IO_READ, 2, BYTES_4096);
	WAIT(MS_200);
	IO(0, IO_READ, 2, BYTES_4096);
	RECORD(DO_DOWN, AT(0, 0));
	WAIT(LEASE);
	RECORD(DO_AUTO, AUTO_ROOM);
	RECORD(DO_UP, AT(0, 0));
	RECORD(DO_ANSWER, AT(0, 0), 0, 0, 0, 0, 3 << 4);
	IO(0, IO_READ, 2, BYTES_4096);
	RECORD(DO_ANSWER, AT(0, 0) | 1 << 3, 0, 0, 0, 3);
	save("node-hints");

	begin(MODE_NODE, AUTO_ROOM | AUTO_START | AUTO_ANSWER, 0, 2, 0, 0);
	FORGE(1, "get", 0, 3, WRITE, 0);
	RECORD(DO_AUTO, AUTO_ROOM);
	FORGE(0, "invalidate-moved", 0, 3, 0, 0, 0, 0);
	RECORD(DO_ANSWER, AT(0, 1), grammar_form("error-blocks") + 1, 0, 0, 0, 0, 2);
	FORGE(2, "claim", 8, 3, 0, 0);
	FORGE(3, "resend", 8, 3, 0, 0);
	RECORD(DO_ANSWER, AT(0, 0), grammar_form("error-blocks") + 1, 0, 0, 0, 0, 2);
	RECORD(DO_ANSWER, AT(0, 0), 0, 0, 2 << 4);
	FORGE(3, "eviction", 0, 0, 0, 0);
	RECORD(DO_DOWN, AT(0, 0));
	RECORD(DO_UP, AT(0, 0));
	RECORD(DO_ANSWER, AT(0, 0), 0, 0, 0, 0, 3 << 4);
	RECORD(DO_ANSWER, AT(0, 0), grammar_form("error-blocks") + 1, 0, 0, 0, 0, 15);
	RECORD(DO_ANSWER, AT(0, 0), grammar_form("error-blocks") + 1, 0, 0, 0, 0, 15);
	save("node-claims-passed-on");

	begin(MODE_NODE, AUTO_ROOM | AUTO_START | AUTO_ANSWER, 0, 2, 0, 0);
	FORGE(1, "get", 0, 0, WRITE, 0);
	FORGE(1, "flush", 0, 0, 0, 0);
	RECORD(DO_AUTO, AUTO_ROOM);
	FORGE(1, "barrier", 0, 0, 0, 0);
	for (unsigned i = 0; i < 2; i++) { // the FLUSH, and what is sent again
		RECORD(DO_MODIFY, MODIFY_SET, PRESENT_INDEX_STATUS, 0, 0, 0, 0, STATUS_BAD_PARAM_VALUE);
		RECORD(DO_ANSWER, AT(0, 0), grammar_form("error-blocks") + 1);
	}
	RECORD(DO_AUTO, AUTO_ROOM | AUTO_ANSWER);
	FORGE(2, "get", 0, 0, 0, 0);
	save("node-flush-refused-for-good");

	begin(MODE_NODE, AUTO_ROOM | AUTO_START | AUTO_ANSWER, 0, 2, 0, 0);
	RECORD(DO_AUTO, AUTO_ROOM);
	FORGE(2, "claim", 8, 0, 0, 0);
	FORGE(3, "claim", 9, 0, 0, 0);
	RECORD(DO_ANSWER, AT(0, 0), 0, 0, READ << 4);
	RECORD(DO_ANSWER, AT(0, 0), 0, 0, NO << 4);
	save("node-claims-granted-less");

	begin(MODE_NODE, AUTO_ROOM | AUTO_START | AUTO_ANSWER, 0, 2, 0, 0);
	for (uint8_t name = 20; name < 90; name++)
		FORGE(1, "connect", 0, 0, 0, 0, 0, name);
	RECORD(DO_AUTO, AUTO_ROOM);
	FORGE(1, "connect", 0, 0, 0, 0, 0, 100);
	RECORD(DO_ANSWER, AT(0, 0), grammar_form("error") + 1, 0, 0, 0, 0, 6);
	FORGE(1, "connect", 0, 0, 0, 0, 0, 101);
	RECORD(DO_ANSWER, AT(0, 0), grammar_form("error") + 1, 0, 0, 0, 0, 6);
	FORGE(1, "connect", 0, 0, 0, 0, 0, 102);
	save("node-many-volumes");
}

static void
node_cut_off(void)
{
	static const uint8_t sessions[] = {0, 3};

	for (unsigned i = 0; i < 2; i++) {
		begin(MODE_NODE, ALL, 0, 0, 0, 0);
		IO(0, IO_WRITE, 1, BYTES_4096);
		FORGE(1, "get", 1, 2, WRITE, 0);
		FORGE(1, "flush", 1, 2, 0, 0);
		FORGE(2, "get", 9, 2, READ, 0);
		RECORD(DO_AUTO, 0);
		IO(0, IO_SYNC, 0, 0);
		IO(0, IO_READ, 100, BYTES_4096);
		RECORD(DO_DOWN, AT(0, 0));
		WAIT(MS_500);
		IO(0, IO_WRITE, 1, BYTES_4096);
		RECORD(DO_UP, AT(0, 0));
		RECORD(DO_ANSWER, AT(0, 0), 0, 0, 0, 0, (uint8_t)(sessions[i] << 4));
		RECORD(DO_ANSWER, AT(0, 0), 0, 0, 0, 0, (uint8_t)(sessions[i] << 4));
		RECORD(DO_AUTO, ALL);
		FORGE(1, "get", 1, 2, WRITE, 0);
		IO(0, IO_SYNC, 0, 0);
		WAIT(S_2);
		save(i == 0 ? "node-link-cut" : "node-session-lost");
	}

	begin(MODE_NODE, AUTO_START | AUTO_ANSWER | AUTO_ROOM, 0, 1, 4, 0);
	IO(0, IO_WRITE, 1, BYTES_4096);
	RECORD(DO_AUTO, 0);
	WAIT(LEASE);
	IO(0, IO_READ, 1, BYTES_4096);
	RECORD(DO_UP, AT(0, 0));
	RECORD(DO_ANSWER, AT(0, 0));
	RECORD(DO_ANSWER, AT(0, 0));
	FORGE(0, "disconnect", 0, 0, 0, 0);
	RECORD(DO_ABORT, 0);
	RECORD(DO_STOP, 0);
	save("node-lapse");
}

static void
node_proxy(void)
{
	begin(MODE_NODE, ALL, 0x80, 0, 0, 4);
	FORGE(1, "get", 0, 5, 0, 0);
	FORGE(2, "get", 0, 5, WRITE, 0);
	FORGE(2, "flush-sync", 0, 5, 0, 0);
	FORGE(1, "lock", 0, 5, WRITE, 0);
	FORGE(3, "put-bytes", 0, 5, 0, 0);
	FORGE(3, "barrier", 0, 0, 0, 0);
	FORGE(0, "invalidate", 0, 5, 0, 0);
	FORGE(3, "connect", 0, 0, 0, 0, 8);
	FORGE(3, "get", 0, 5, 0, 0, 8);
	FORGE(0, "push", 0, 5, 0, 0);
	FORGE(1, "forward", 0, 5, 0, 0);
	RECORD(DO_DOWN, AT(0, 2));
	FORGE(1, "get", 0, 5, 0, 0);
	WAIT(LEASE_OVER);
	FORGE(1, "disconnect", 0, 0, 0, 0);
	RECORD(DO_STOP, 0);
	WAIT(MS_200);
	save("node-proxy");

	begin(MODE_NODE, AUTO_START | AUTO_ANSWER | AUTO_ROOM, 0x80, 0x10, 0, 4);
	FORGE(1, "put", 0, 5, 0, 0);
	RECORD(DO_AUTO, 0);
	FORGE(1, "flush-sync", 0, 5, 0, 0);
	FORGE(1, "flush-sync", 0, 5, 0, 0);
	FORGE(1, "barrier", 0, 0, 0, 0);
	RECORD(DO_ANSWER, AT(0, 0), grammar_form("error-blocks") + 1, 0, 0, 0, 0, 2);
	FORGE(2, "get", 0, 5, 0, 0);
	RECORD(DO_ANSWER, AT(0, 1));
	RECORD(DO_ANSWER, AT(0, 0));
	RECORD(DO_ANSWER, AT(0, 0));
	WAIT(S_1);
	save("node-proxy-flush");
}

// ---- PUSH ----

enum { PUSHES = 0x20 }; // of the limits: the node sends ahead

static void
pushes(void)
{
	begin(MODE_ROOT, ALL, 0, 0, 0, PUSHES);
	IO(0, IO_READ, 0, BYTES_8192);
	for (uint8_t block = 0; block < 5; block++)
		FORGE(1, "get", block, 0, READ, 0);
	FORGE(1, "release", 3, 4, 0, 0);
	FORGE(2, "get", 4, 0, WRITE, 0);
	FORGE(1, "get", 5, 0, READ, 0);
	FORGE(2, "get", 5, 5, READ, 0);
	FORGE(1, "error", 0, 0, 0, 0, 0, 9); // NOT_SUPPORTED
	FORGE(1, "get", 8, 5, READ, 0);
	save("root-pushes");

	begin(MODE_NODE, ALL, 0, 0, 0, PUSHES);
	FORGE(0, "push", 0, 5, 0, 0);
	IO(0, IO_READ, 0, BYTES_1024);
	FORGE(1, "get", 1, 2, READ, 0);
	IO(0, IO_WRITE, 3, BYTES_1024);
	FORGE(0, "push", 3, 2, 0, 0); // of what is dirty
	FORGE(0, "invalidate", 0, 5, NO, 0);
	FORGE(0, "push", 0, 5, 0, NEWER);
	FORGE(0, "push", 0, 5, WRITE, 0);
	FORGE(0, "push", 6, 15, 0, 0);
	FORGE(0, "push", 8, 16, 0, 0);
	FORGE(0, "push", 16, 5, 0, 0); // beyond the volume
	WAIT(S_2);
	save("node-pushed");

	begin(MODE_NODE, AUTO_ROOM | AUTO_START | AUTO_ANSWER, 0, 0, 0, PUSHES);
	RECORD(DO_AUTO, AUTO_ROOM);
	IO(0, IO_READ, 1, BYTES_1024);
	FORGE(1, "get", 3, 0, WRITE, 0);
	FORGE(0, "push", 0, 5, 0, 0); // crosses both requests
	FORGE(0, "invalidate", 2, 0, NO, 0);
	FORGE(0, "push", 2, 0, 0, 0); // right behind the recall
	RECORD(DO_ANSWER, AT(0, 0));
	RECORD(DO_ANSWER, AT(0, 0));
	RECORD(DO_DOWN, AT(0, 0));
	FORGE(0, "push", 0, 5, 0, 0);
	RECORD(DO_UP, AT(0, 0));
	FORGE(0, "push", 0, 5, 0, 0); // before CONNECT is answered
	RECORD(DO_ANSWER, AT(0, 0), 0, 0, 0, 0, 3 << 4);
	FORGE(0, "push", 0, 5, 0, 0); // a new session, with claims
	RECORD(DO_AUTO, ALL);
	WAIT(S_1);
	save("node-pushed-crossing");

	begin(MODE_NODE, ALL, 1, 0, 0, PUSHES);
	for (uint8_t i = 0; i < 8; i++)
		FORGE(0, "push", (uint8_t)(i % 4 * 4), 16, 0, 0); // more than there is room for
	WAIT(S_2);
	save("node-pushed-full");

	begin(MODE_PAIR, ALL, 0, 0, 0, PUSHES);
	IO(0, IO_READ, 0, BYTES_8192);
	for (uint8_t block = 0; block < 40; block++)
		IO(1, IO_READ, block, BYTES_512);
	RECORD(DO_AUTO, AUTO_STORE | AUTO_ROOM);
	IO(1, IO_READ, 40, BYTES_4096);
	RECORD(DO_FORGE, AT(1, 0), grammar_form("push"), 3, 5);
	RECORD(DO_REPLAY, AT(1, 0));
	RECORD(DO_RELAY, AT(0, 1));
	RECORD(DO_RELAY, AT(1, 0));
	IO(0, IO_WRITE, 4, BYTES_4096);
	RECORD(DO_AUTO, ALL);
	WAIT(S_1);
	save("pair-pushes");
}

// ---- A pair ----

static void
pair(void)
{
	begin(MODE_PAIR, ALL, 0, 0, 0, 4);
	IO(1, IO_WRITE, 1, BYTES_4096);
	IO(0, IO_WRITE, 2, BYTES_4096);
	IO(1, IO_READ, 1, BYTES_4096);
	FORGE(2, "get", 0, 5, WRITE, 0);
	IO(1, IO_WRITE, 3, BYTES_513);
	IO(1, IO_SYNC, 0, 0);
	IO(1, IO_ZERO, 3, BYTES_8192);
	WAIT(S_1);
	RECORD(DO_REPLAY, AT(0, 1));
	RECORD(DO_REPLAY, AT(1, 0) | 2 << 3);
	RECORD(DO_STOP, 1);
	save("pair-replay");

	begin(MODE_PAIR, AUTO_STORE | AUTO_ROOM | AUTO_RELAY | AUTO_START, 0, 0, 0, 4);
	RECORD(DO_AUTO, AUTO_STORE);
	IO(1, IO_READ, 1, BYTES_4096);
	IO(1, IO_WRITE, 20, BYTES_4096);
	RECORD(DO_RELAY, AT(0, 1) | 1 << 3);
	RECORD(DO_MODIFY, MODIFY_SET, PRESENT_INDEX_BLOCK_NUM, 0, 0, 0, 0, 9);
	RECORD(DO_RELAY, AT(0, 1), 1);
	RECORD(DO_RELAY, AT(0, 1));
	RECORD(DO_MODIFY, MODIFY_SET, PRESENT_INDEX_PERMISSIONS, 0, 0, 0, 0, 2);
	RECORD(DO_RELAY, AT(1, 0));
	RECORD(DO_MODIFY, MODIFY_BYTE, 0, 0x40, 0, 0, 0, 60);
	RECORD(DO_RELAY, AT(1, 0));
	FORGE(1, "flush", 1, 3, 0, 0);
	RECORD(DO_FORGE, AT(1, 0), grammar_form("invalidate"), 1, 3);
	RECORD(DO_AUTO, AUTO_STORE | AUTO_RELAY);
	IO(0, IO_WRITE, 1, BYTES_4096);
	WAIT(S_1);
	save("pair-lies");

	begin(MODE_PAIR, ALL, 1, 1, 0, 4);
	IO(1, IO_WRITE, 1, BYTES_8192);
	RECORD(DO_AUTO, AUTO_STORE);
	IO(1, IO_SYNC, 0, 0);
	IO(1, IO_READ, 90, BYTES_4096);
	RECORD(DO_DOWN, AT(1, 0));
	RECORD(DO_UP, AT(1, 0));
	RECORD(DO_DOWN, AT(0, 1));
	RECORD(DO_UP, AT(0, 1));
	RECORD(DO_AUTO, AUTO_STORE | AUTO_RELAY);
	IO(0, IO_READ, 1, BYTES_8192);
	WAIT(LEASE_OVER);
	RECORD(DO_DOWN, AT(1, 0));
	RECORD(DO_UP, AT(1, 0));
	WAIT(S_1);
	save("pair-cut");
}

// ---- Each form ----

static void
every_form(void)
{
	char name[64];

	for (uint8_t form = 0; form < grammar_form_count(); form++) {
		begin(MODE_ROOT, ALL, 0, 0, 0, 0);
		FORGE(1, "get", 0, 2, WRITE, 0);
		FORGE(2, "get", 3, 0, 0, 0);
		RECORD(DO_FORGE, AT(0, 1), form);
		RECORD(DO_FORGE, AT(0, 2), form, 3, 1);
		snprintf(name, sizeof(name), "root-%s", grammar_form_name(form));
		save(name);
		begin(MODE_NODE, ALL, 0, 0, 0, 0);
		IO(0, IO_WRITE, 0, BYTES_1024);
		IO(0, IO_READ, 8, BYTES_1024);
		RECORD(DO_FORGE, AT(0, 0), form);
		RECORD(DO_FORGE, AT(0, 0), form, 4, 1);
		RECORD(DO_AUTO, 0);
		IO(0, IO_READ, 20, BYTES_1024);
		RECORD(DO_ANSWER, AT(0, 0), form + 1);
		snprintf(name, sizeof(name), "node-%s", grammar_form_name(form));
		save(name);
	}
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	folder = argv[1];
	root_sharing();
	root_writing();
	root_coming_and_going();
	root_claims();
	root_crowding();
	node_own();
	node_recovery();
	node_cut_off();
	node_proxy();
	pushes();
	pair();
	every_form();
	return 0;
}
