// SPDX-License-Identifier: MIT
// Children that try what they have no right to: a root's core, spoken to message by message.
#include "cache/stack.h"
#include "core/core.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, BLOCKS = 64, READER = 1, WRITER = 2, NOBODY = 3, OTHER = 4 };

// ---- Fixture: a root that serves "v"; the peer of link n is n ----

static struct stack *cache;
static struct core *core;
static struct actions *actions;
static moment_us now;
static uint32_t next_xid;
static enum right rights[8]; // by peer; what it may do with "v" and "w", which does not exist

// What the last step did.
static struct message answer; // to the last message
static bool answered, closed;
static unsigned forbidden, evictions;
static char forbidden_text[300];

static enum right
right_of(void *arg, uint32_t link, const char *volume)
{
	return rights[link];
}

static void
step(const struct event *event)
{
	struct event read = {.type = EVENT_TIMER};
	struct buf *zero = buf_zero();

	core_step(core, ++now, event, actions);
	closed = false;
	for (size_t i = 0; i < actions_count(actions); i++) {
		const struct action *action = actions_get(actions, i);

		if (action->type == ACTION_STORE_READ) // of one block
			read = (struct event){.type = EVENT_STORE_READ, .store_cookie = action->store_cookie, .bufs = &zero, .count = 1};
		if (action->type == ACTION_SEND && action->message->xid == next_xid) {
			answer = *action->message;
			answered = true;
		}
		if (action->type == ACTION_FORBIDDEN) {
			forbidden++;
			strcpy(forbidden_text, action->text);
		}
		evictions += action->type == ACTION_EVICT;
		closed |= action->type == ACTION_CLOSE && action->link == event->link;
	}
	actions_reset(actions);
	core_check(core);
	if (read.type == EVENT_STORE_READ)
		step(&read);
}

static void
link_up(uint32_t link)
{
	step(&(struct event){.type = EVENT_LINK_UP, .link = link, .role = LINK_CHILD, .peer = link});
}

static void
say(uint32_t link, struct message message)
{
	message.hops_left = 32;
	message.xid = ++next_xid;
	answered = false;
	step(&(struct event){.type = EVENT_MESSAGE, .link = link, .message = &message});
}

static struct message
connect_message(const char *volume, uint64_t node_id, uint64_t session)
{
	return (struct message){
		.opcode = OP_CONNECT,
		.present = PRESENT(VOLUME_NAME) | PRESENT(PROTOCOL) | PRESENT(NODE_ID) | PRESENT(NODE_NAME) | PRESENT(SESSION) |
			   PRESENT(LINK_NUMBER),
		.volume_name = {(const uint8_t *)volume, strlen(volume)},
		.node_name = {(const uint8_t *)"n", 1},
		.protocol = PROTOCOL_VERSION,
		.node_id = node_id,
		.session = session,
		.link_number = 1,
	};
}

// Returns the session.
static uint64_t
connected(uint32_t link, uint64_t node_id, uint64_t session)
{
	say(link, connect_message("v", node_id, session));
	ck_assert(answered);
	ck_assert_int_eq(answer.opcode, OP_OK_REPLY);
	return answer.session;
}

static struct message
request(enum opcode opcode, enum perm perm)
{
	return (struct message){
		.opcode = opcode,
		.present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(PERMISSIONS),
		.volume_id = answer.volume_id,
		.block = 7,
		.count = 1,
		.perm = perm,
	};
}

static void
assert_refused(enum status status)
{
	ck_assert(answered);
	ck_assert_int_eq(answer.opcode, OP_ERR_REPLY);
	ck_assert_int_eq(answer.status, status);
}

static void
setup(void)
{
	const struct level_config level = {.size = 64 * BLOCK};
	struct core_config config;
	struct copies copies;

	core_config_default(&config);
	config.name = "root";
	config.node_id = 1000;
	config.session_seed = 5000;
	config.right_of = right_of;
	cache = stack_create(BLOCK, &level, 1);
	copies = stack_copies(cache);
	core = core_create(&config, &copies);
	ck_assert_int_eq(core_add_root_volume(core, "v", BLOCKS * BLOCK, BLOCK, false), 0);
	actions = actions_create();
	now = 1000000;
	forbidden = evictions = 0;
	memset(rights, 0, sizeof(rights));
	rights[READER] = RIGHT_READ;
	rights[WRITER] = rights[OTHER] = RIGHT_WRITE;
	for (uint32_t link = READER; link <= OTHER; link++)
		link_up(link);
}

static void
teardown(void)
{
	core_destroy(core);
	stack_destroy(cache);
	actions_destroy(actions);
}

static uint32_t volume_id;

static void
assert_reader_refused(struct message message, enum status status)
{
	message.volume_id = volume_id;
	say(READER, message);
	assert_refused(status);
	ck_assert_str_eq(forbidden_text, message_opcode_name(message.opcode));
}

// ---- Cases ----

// Who has no right learns nothing: the same answer for a volume that is there and one that is not.
START_TEST(test_no_right)
{
	struct message first;

	say(NOBODY, connect_message("v", 77, 0));
	assert_refused(STATUS_ACCESS_DENIED);
	first = answer;
	ck_assert_str_eq(forbidden_text, "v");
	say(NOBODY, connect_message("w", 77, 0));
	assert_refused(STATUS_ACCESS_DENIED);
	ck_assert_uint_eq(answer.present, first.present);
	ck_assert_uint_eq(forbidden, 2);
	say(WRITER, connect_message("w", 77, 0));
	assert_refused(STATUS_NO_SUCH_VOLUME);
}
END_TEST

// Without a session nothing is served, whichever id is named.
START_TEST(test_no_session)
{
	connected(WRITER, 78, 0);
	say(NOBODY, request(OP_GET, PERM_READ));
	assert_refused(STATUS_NO_SUCH_VOLUME);
}
END_TEST

// A reader is told that it is one, and whatever would change a byte, or what others may do, is refused and told.
START_TEST(test_reader)
{
	uint8_t bytes[BLOCK] = {0};
	struct buf *buf = buf_alloc(core_pool(core, BLOCK));
	struct item item = {.kind = ITEM_DATA, .buf = buf, .version = version_make(1, 9)};
	struct message message;

	memcpy(buf_bytes(buf), bytes, BLOCK);
	connected(READER, 77, 0);
	volume_id = answer.volume_id;
	ck_assert(answer.connect_flags & CONNECT_READ_ONLY);
	message = request(OP_PUT, PERM_WRITE);
	message.items = &item;
	message.data_size = BLOCK;
	assert_reader_refused(message, STATUS_READ_ONLY);
	message.opcode = OP_FLUSH;
	assert_reader_refused(message, STATUS_READ_ONLY);
	message.opcode = OP_FORWARD;
	assert_reader_refused(message, STATUS_READ_ONLY);
	assert_reader_refused(request(OP_LOCK, PERM_WRITE), STATUS_READ_ONLY);
	assert_reader_refused(request(OP_GET, PERM_WRITE), STATUS_READ_ONLY);
	message = request(OP_RECOVER, PERM_WRITE);
	message.items = &item;
	assert_reader_refused(message, STATUS_ACCESS_DENIED);
	message.perm = PERM_NO;
	assert_reader_refused(message, STATUS_ACCESS_DENIED);
	message = (struct message){.opcode = OP_RECOVER, .present = PRESENT(VOLUME_ID) | PRESENT(NODE_ID), .node_id = 78};
	assert_reader_refused(message, STATUS_ACCESS_DENIED); // somebody else's eviction
	ck_assert_uint_eq(forbidden, 8);
	buf_unref(buf);
}
END_TEST

// It says of itself that it is a reader, then that it is not: what counts is the right.
START_TEST(test_flags_give_nothing)
{
	struct message message = connect_message("v", 77, 0);

	message.present |= PRESENT(CONNECT_FLAGS);
	message.connect_flags = CONNECT_SYNC_WRITE;
	say(READER, message);
	ck_assert(answer.connect_flags & CONNECT_READ_ONLY);
	volume_id = answer.volume_id;
	assert_reader_refused(request(OP_LOCK, PERM_WRITE), STATUS_READ_ONLY);
}
END_TEST

// The session of another peer is not gone on with, and not ended, by who knows its number and name.
START_TEST(test_session_of_another)
{
	uint64_t session = connected(WRITER, 78, 0), taken;
	struct child_info info;

	say(WRITER, request(OP_LOCK, PERM_WRITE));
	step(&(struct event){.type = EVENT_LINK_DOWN, .link = WRITER});
	taken = connected(OTHER, 78, session);
	ck_assert_uint_ne(taken, session);
	ck_assert(!(answer.connect_flags & (CONNECT_RESUMED | CONNECT_SAME_PROCESS | CONNECT_KNOWN)));
	step(&(struct event){.type = EVENT_LINK_DOWN, .link = OTHER});
	link_up(OTHER);
	connected(OTHER, 78, 0);
	ck_assert(core_child_info(core, &(uint32_t){0}, now, &info));
	ck_assert_uint_eq(info.blocks_write, 1); // still the writer's
	link_up(WRITER);
	ck_assert_uint_eq(connected(WRITER, 78, session), session);
	ck_assert(answer.connect_flags & CONNECT_RESUMED);
}
END_TEST

// A writer is away for longer than its lease, and somebody else connects under its name, as one who has nothing to claim. Its blocks
// are not free by that: they are taken back by an eviction.
START_TEST(test_name_of_another)
{
	struct message lock;

	connected(WRITER, 78, 0);
	lock = request(OP_LOCK, PERM_WRITE);
	say(WRITER, lock);
	ck_assert_int_eq(answer.opcode, OP_OK_REPLY);
	step(&(struct event){.type = EVENT_LINK_DOWN, .link = WRITER});
	now += 35 * 1000 * 1000;
	step(&(struct event){.type = EVENT_TIMER});
	link_up(_i == 0 ? 6 : 7);
	rights[6] = RIGHT_READ;
	rights[7] = rights[5] = RIGHT_WRITE;
	connected(_i == 0 ? 6 : 7, 78, 0);
	now += 10 * 1000 * 1000;
	step(&(struct event){.type = EVENT_TIMER});
	link_up(5);
	connected(5, 79, 0);
	say(5, lock);
	ck_assert_uint_eq(evictions, 1);
	ck_assert(!answered || answer.opcode == OP_ERR_REPLY);
}
END_TEST

// Its own link with another session of the same peer: as ever.
START_TEST(test_session_of_the_same)
{
	uint64_t session = connected(WRITER, 78, 0);

	step(&(struct event){.type = EVENT_LINK_UP, .link = 5, .role = LINK_CHILD, .peer = WRITER});
	rights[5] = RIGHT_WRITE;
	ck_assert_uint_eq(connected(5, 78, session), session);
}
END_TEST

// A right that is gone while nothing is held: the link is closed at once, and nothing more is answered on it.
START_TEST(test_revoked)
{
	connected(READER, 77, 0);
	rights[READER] = RIGHT_NONE;
	step(&(struct event){.type = EVENT_RIGHTS, .link = READER});
	ck_assert(closed);
	say(READER, request(OP_GET, PERM_READ));
	ck_assert(!answered);
}
END_TEST

// From then on nothing more is granted, though something is still being taken back.
START_TEST(test_nothing_more)
{
	struct message lock;

	connected(WRITER, 78, 0);
	lock = request(OP_LOCK, PERM_WRITE);
	say(WRITER, lock);
	ck_assert_int_eq(answer.opcode, OP_OK_REPLY);
	rights[WRITER] = RIGHT_NONE;
	step(&(struct event){.type = EVENT_RIGHTS, .link = WRITER});
	ck_assert(!closed);
	lock.block = 8;
	say(WRITER, lock);
	assert_refused(STATUS_ACCESS_DENIED);
	lock.opcode = OP_GET;
	lock.perm = PERM_READ;
	say(WRITER, lock);
	assert_refused(STATUS_ACCESS_DENIED);
}
END_TEST

int
main(void)
{
	const TTest *const cases[] = {test_no_right,	       test_no_session, test_reader,	   test_flags_give_nothing,
				      test_session_of_another, test_revoked,	test_nothing_more, test_session_of_the_same};
	Suite *suite = suite_create("rights");
	TCase *tcase = tcase_create("rights");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		tcase_add_test(tcase, cases[i]);
	tcase_add_loop_test(tcase, test_name_of_another, 0, 2);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
