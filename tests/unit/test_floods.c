// SPDX-License-Identifier: MIT
// Peers that ask for more than there is: a core, spoken to message by message, has room for others, and no more memory than it
// says. And names and addresses that are none.
#include "cache/stack.h"
#include "core/core.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, BLOCKS = 64, LINK = 1, OTHER = 2, PARENT = 3, STRANGER = 0, KNOWN = 7, NEIGHBOUR = 8, CLAIMS = 256 };

// ---- Fixture ----

static struct stack *cache;
static struct buf_pool *pool; // of bytes that are brought; NULL: none are
static struct core *core;
static struct actions *actions;
static moment_us now;
static uint32_t next_xid;

// What the last steps did.
static struct message answer; // to the last message
static bool answered, closed; // closed: its link
static uint32_t asked_xid; // of the last CONNECT to the parent
static char asked[LIMIT_NAME_SIZE + 1];

static enum right
right_of(void *arg, uint32_t link, const char *volume)
{
	return RIGHT_WRITE;
}

static void
step(const struct event *event)
{
	struct event read = {.type = EVENT_TIMER};
	struct buf *zero = buf_zero();

	core_step(core, ++now, event, actions);
	for (size_t i = 0; i < actions_count(actions); i++) {
		const struct action *action = actions_get(actions, i);

		if (action->type == ACTION_STORE_READ) // of one block
			read = (struct event){.type = EVENT_STORE_READ, .store_cookie = action->store_cookie, .bufs = &zero, .count = 1};
		closed |= action->type == ACTION_CLOSE && action->link == event->link;
		if (action->type != ACTION_SEND)
			continue;
		if (action->link == PARENT && action->message->opcode == OP_CONNECT) {
			asked_xid = action->message->xid;
			memset(asked, 0, sizeof(asked));
			memcpy(asked, action->message->volume_name.bytes, action->message->volume_name.size);
		} else if (action->link != PARENT && action->message->xid == next_xid) {
			answer = *action->message;
			answered = true;
		}
	}
	actions_reset(actions);
	core_check(core);
	if (read.type == EVENT_STORE_READ)
		step(&read);
}

static void
make_core_of(bool has_parent, uint32_t block_size, uint64_t blocks, uint32_t grace_ms)
{
	const struct level_config level = {.size = 64 * block_size};
	struct core_config config;
	struct copies copies;

	core_config_default(&config);
	config.name = "node";
	config.node_id = 1000;
	config.session_seed = 5000;
	config.right_of = right_of;
	config.has_parent = has_parent;
	config.listens = true;
	config.epoch = 2;
	config.grace_ms = grace_ms;
	cache = stack_create(block_size, &level, 1);
	copies = stack_copies(cache);
	core = core_create(&config, &copies);
	ck_assert_int_eq(core_add_root_volume(core, "v", blocks * block_size, block_size, false), 0);
	actions = actions_create();
	now = 1000000;
	next_xid = 0;
}

static void
make_core(bool has_parent)
{
	make_core_of(has_parent, BLOCK, BLOCKS, 0);
}

static void
teardown(void)
{
	actions_destroy(actions);
	core_destroy(core);
	stack_destroy(cache);
	if (pool != NULL)
		buf_pool_destroy(pool);
}

static void
link_up(uint32_t link, uint32_t peer)
{
	step(&(struct event){.type = EVENT_LINK_UP, .link = link, .role = link == PARENT ? LINK_PARENT : LINK_CHILD, .peer = peer});
}

static void
link_down(uint32_t link)
{
	step(&(struct event){.type = EVENT_LINK_DOWN, .link = link});
}

static void
say(uint32_t link, struct message message)
{
	message.hops_left = 32;
	message.xid = ++next_xid;
	answered = closed = false;
	step(&(struct event){.type = EVENT_MESSAGE, .link = link, .message = &message});
}

static struct blob
blob(const char *text)
{
	return (struct blob){(const uint8_t *)text, strlen(text)};
}

static struct message
connect_message(struct blob volume, struct blob name, uint64_t node_id)
{
	return (struct message){
		.opcode = OP_CONNECT,
		.present = PRESENT(VOLUME_NAME) | PRESENT(PROTOCOL) | PRESENT(NODE_ID) | PRESENT(NODE_NAME) | PRESENT(SESSION) |
			   PRESENT(LINK_NUMBER),
		.volume_name = volume,
		.node_name = name,
		.protocol = PROTOCOL_VERSION,
		.node_id = node_id,
		.link_number = 1,
	};
}

// Returns STATUS_NONE, or why not.
static enum status
ask_session(uint32_t link, const char *volume, uint64_t node_id)
{
	say(link, connect_message(blob(volume), blob("n"), node_id));
	ck_assert(answered);
	return answer.opcode == OP_OK_REPLY ? STATUS_NONE : answer.status;
}

// ---- Sessions ----

static void
come_and_go(uint32_t peer, uint64_t from, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++) {
		link_up(LINK, peer);
		ck_assert_int_eq(ask_session(LINK, "v", from + i), STATUS_NONE);
		link_down(LINK);
	}
}

static uint32_t
count_sessions(void)
{
	struct child_info info;
	uint32_t at = 0, count = 0;

	while (core_child_info(core, &at, now, &info))
		count++;
	return count;
}

static void
take_block(uint32_t link, uint64_t block)
{
	say(link, (struct message){.opcode = OP_LOCK,
				   .present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(PERMISSIONS),
				   .volume_id = answer.volume_id,
				   .block = block,
				   .count = 1,
				   .perm = PERM_WRITE});
	ck_assert(answered && answer.opcode == OP_OK_REPLY);
}

// Who comes as another one each time leaves sessions behind, which have nothing: they make room, and one that has something stays.
START_TEST(test_sessions_of_nobody)
{
	struct child_info info;

	make_core(false);
	link_up(OTHER, STRANGER);
	ck_assert_int_eq(ask_session(OTHER, "v", 77), STATUS_NONE);
	take_block(OTHER, 5);
	link_down(OTHER);
	come_and_go(STRANGER, 1000, LIMIT_CHILDREN + 100);
	ck_assert_uint_eq(count_sessions(), LIMIT_CHILDREN);
	ck_assert(core_child_info(core, &(uint32_t){0}, now, &info));
	ck_assert_uint_eq(info.blocks_write, 1);
}
END_TEST

// One that is known does not even take the places of others who are away.
START_TEST(test_sessions_of_one_peer)
{
	make_core(false);
	come_and_go(NEIGHBOUR, 100, 10);
	come_and_go(KNOWN, 1000, LIMIT_CHILDREN_OF_PEER + 100);
	ck_assert_uint_eq(count_sessions(), LIMIT_CHILDREN_OF_PEER + 10);
	come_and_go(NEIGHBOUR, 200, 10);
	ck_assert_uint_eq(count_sessions(), LIMIT_CHILDREN_OF_PEER + 20);
}
END_TEST

// ---- Bytes ----

// Claims of ${peer}, who is called ${node_id}, for blocks from ${block} on, each with ${buf}. Returns how many there is no room for.
static uint32_t
bring(uint32_t link, uint64_t node_id, uint64_t block, struct buf *buf)
{
	struct item items[CLAIMS];

	for (uint32_t i = 0; i < CLAIMS; i++)
		items[i] = (struct item){.kind = ITEM_DATA, .version = 5, .buf = buf};
	say(link, (struct message){
			  .opcode = OP_RECOVER,
			  .flags = FLAG_RECOVERY_OP,
			  .present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(PERMISSIONS) | PRESENT(NODE_ID) |
				     PRESENT(LINK_NUMBER) | PRESENT(PATH) | PRESENT(EPOCH) | PRESENT(TTL),
			  .volume_id = core_volume_id(core, 0),
			  .block = block,
			  .count = CLAIMS,
			  .node_id = node_id,
			  .link_number = 1,
			  .path = {node_id, 1000},
			  .path_count = 2,
			  .epoch = 1,
			  .items = items,
		  });
	return answered && answer.opcode == OP_ERR_REPLY && answer.status == STATUS_TOO_MANY ? answer.count : 0;
}

// In a grace time all that is brought is kept until its end: of one peer, as much as there is room for.
START_TEST(test_bytes_of_claims)
{
	const uint32_t most = LIMIT_CLAIM_SIZE / LIMIT_BLOCK_SIZE_MAX;
	struct buf *buf;
	uint32_t refused = 0;

	pool = buf_pool_create(LIMIT_BLOCK_SIZE_MAX);
	buf = buf_alloc(pool);
	memset(buf_bytes(buf), 'x', LIMIT_BLOCK_SIZE_MAX);
	make_core_of(false, LIMIT_BLOCK_SIZE_MAX, 2 * most, 60000);
	link_up(LINK, KNOWN);
	link_up(OTHER, NEIGHBOUR);
	ck_assert_int_eq(ask_session(LINK, "v", 1), STATUS_NONE);
	ck_assert_int_eq(ask_session(OTHER, "v", 2), STATUS_NONE);
	for (uint64_t block = 0; block < most + 1024; block += CLAIMS)
		refused += bring(LINK, 1, block, buf);
	ck_assert_uint_eq(refused, 1024);
	ck_assert_uint_eq(bring(OTHER, 2, most + 1024, buf), 0);
	buf_unref(buf);
}
END_TEST

// A PUT of ${CLAIMS} blocks from ${block} on, of ${buf} each.
static void
put(uint32_t link, uint64_t block, struct buf *buf)
{
	struct item items[CLAIMS];

	for (uint32_t i = 0; i < CLAIMS; i++)
		items[i] = (struct item){.kind = ITEM_DATA, .buf = buf};
	say(link, (struct message){
			  .opcode = OP_PUT,
			  .present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(PERMISSIONS),
			  .volume_id = core_volume_id(core, 0),
			  .block = block,
			  .count = CLAIMS,
			  .perm = PERM_WRITE,
			  .items = items,
		  });
}

// The storage hangs. Who writes on is cut off, and with each new link again; others are not.
START_TEST(test_bytes_that_do_not_go_on)
{
	const uint64_t most = LIMIT_BROUGHT_SIZE / LIMIT_BLOCK_SIZE_MAX;
	struct buf *buf;
	uint64_t block = 0, session;

	pool = buf_pool_create(LIMIT_BLOCK_SIZE_MAX);
	buf = buf_alloc(pool);
	memset(buf_bytes(buf), 'x', LIMIT_BLOCK_SIZE_MAX);
	make_core_of(false, LIMIT_BLOCK_SIZE_MAX, 2 * most, 0);
	link_up(LINK, KNOWN);
	link_up(OTHER, NEIGHBOUR);
	ck_assert_int_eq(ask_session(LINK, "v", 1), STATUS_NONE);
	session = answer.session;
	ck_assert_int_eq(ask_session(OTHER, "v", 2), STATUS_NONE);
	for (; block < most; block += CLAIMS) {
		put(LINK, block, buf);
		ck_assert(!closed);
	}
	put(LINK, block, buf);
	ck_assert(closed);
	for (int i = 0; i < 3; i++) {
		struct message connect = connect_message(blob("v"), blob("n"), 1);

		connect.session = session;
		link_down(LINK);
		link_up(LINK, KNOWN);
		say(LINK, connect);
		ck_assert(answered && answer.opcode == OP_OK_REPLY && answer.session == session);
		put(LINK, block += CLAIMS, buf);
		ck_assert(closed);
	}
	put(OTHER, block + CLAIMS, buf);
	ck_assert(answered && !closed);
	buf_unref(buf);
}
END_TEST

// ---- Names that do not exist ----

static enum status
ask_name(uint32_t link, uint32_t number)
{
	char name[20];

	snprintf(name, sizeof(name), "n%u", (unsigned)number);
	say(link, connect_message(blob(name), blob("n"), 77));
	return answered ? answer.status : STATUS_NONE;
}

// The parent does not know them: the next ones take their places.
START_TEST(test_names_unknown_above)
{
	char name[20];

	make_core(true);
	link_up(PARENT, 0);
	link_up(LINK, STRANGER);
	for (uint32_t i = 0; i < 3 * LIMIT_VOLUMES; i++) {
		struct message refusal = {.opcode = OP_ERR_REPLY, .hops_left = 32, .present = PRESENT(STATUS), .status = STATUS_NO_SUCH_VOLUME};

		ask_name(LINK, i);
		snprintf(name, sizeof(name), "n%u", (unsigned)i);
		ck_assert_str_eq(asked, name);
		refusal.xid = asked_xid;
		step(&(struct event){.type = EVENT_MESSAGE, .link = PARENT, .message = &refusal});
		ck_assert(answered);
		ck_assert_int_eq(answer.status, STATUS_NO_SUCH_VOLUME);
	}
	ck_assert_uint_le(core_volume_count(core), LIMIT_VOLUMES);
}
END_TEST

// The parent is away: names wait, as many as there are places; the next are told so; and when nobody waits any more, the places are
// free.
START_TEST(test_names_without_parent)
{
	make_core(true);
	link_up(LINK, STRANGER);
	for (uint32_t i = 1; i < LIMIT_VOLUMES; i++) {
		ask_name(LINK, i);
		ck_assert(!answered);
	}
	ck_assert_int_eq(ask_name(LINK, LIMIT_VOLUMES), STATUS_TOO_MANY);
	link_down(LINK);
	link_up(OTHER, STRANGER);
	ask_name(OTHER, 9999);
	ck_assert(!answered);
	link_up(PARENT, 0);
	ck_assert_uint_eq(core_volume_count(core), LIMIT_VOLUMES);
}
END_TEST

// ---- Names and addresses that are none ----

static const struct blob bad_names[] = {
#define BAD(text) {(const uint8_t *)(text), sizeof(text) - 1}
	BAD("/"), BAD("a/b"), BAD("../x"), BAD(".."), BAD("."), BAD(".hidden"), BAD("-f"), BAD("a\0b"), BAD("a\nb"), BAD("a b"),
	BAD("\x1b[31m"), BAD("a\x7f"), BAD("\xc3\xa4"), BAD("\xc2\x9b" "31m"), BAD("\xff\xfe"), BAD("%s%n"), BAD("a;b"), BAD("$(x)"),
#undef BAD
};

START_TEST(test_names)
{
	char longest[LIMIT_NAME_SIZE + 1] = "";

	make_core(false);
	link_up(LINK, STRANGER);
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(*bad_names); i++) {
		say(LINK, connect_message(bad_names[i], blob("n"), 77));
		ck_assert(answered && answer.opcode == OP_ERR_REPLY);
		ck_assert_int_eq(answer.status, STATUS_BAD_PARAM_VALUE);
		ck_assert_int_eq(answer.err_param, PARAM_VOLUME_NAME);
		say(LINK, connect_message(blob("v"), bad_names[i], 77));
		ck_assert(answered && answer.opcode == OP_ERR_REPLY);
		ck_assert_int_eq(answer.status, STATUS_BAD_PARAM_VALUE);
		ck_assert_int_eq(answer.err_param, PARAM_NODE_NAME);
	}
	ck_assert_uint_eq(count_sessions(), 0);
	memset(longest, 'x', LIMIT_NAME_SIZE);
	say(LINK, connect_message(blob(longest), blob("n"), 77));
	ck_assert_int_eq(answer.status, STATUS_NO_SUCH_VOLUME);
	say(LINK, connect_message(blob("v"), blob(longest), 77));
	ck_assert_int_eq(answer.opcode, OP_OK_REPLY);
}
END_TEST

// What a parent tells of nodes further up is shown, told on, and dialled.
START_TEST(test_addresses)
{
	static const char told[] = "unix:/run/a\nunix:/x\x1b[2J\nhost:1\0:2\n\xc2\x9b" "1m:3\n\nh\xc3\xa4:4\n127.0.0.1:5";
	struct message reply = {
		.opcode = OP_OK_REPLY,
		.hops_left = 32,
		.present = PRESENT(VOLUME_NAME) | PRESENT(VOLUME_ID) | PRESENT(CONNECT_FLAGS) | PRESENT(HB_TTL) | PRESENT(SESSION) |
			   PRESENT(CREDITS) | PRESENT(VOLUME_SIZE) | PRESENT(BLOCK_SIZE) | PRESENT(EPOCH) | PRESENT(NODE_ID) |
			   PRESENT(PROTOCOL) | PRESENT(PARENT_ADDR),
		.volume_name = blob("n1"),
		.volume_id = 9,
		.connect_flags = CONNECT_IS_ROOT | CONNECT_ASYNC_WRITE,
		.hb_ttl_ms = 30000,
		.session = 1,
		.credits = 64,
		.volume_size = BLOCKS * BLOCK,
		.block_size = BLOCK,
		.epoch = 1,
		.node_id = 5,
		.protocol = PROTOCOL_VERSION,
		.parent_addr = {(const uint8_t *)told, sizeof(told) - 1},
	};

	make_core(true);
	link_up(PARENT, 0);
	link_up(LINK, STRANGER);
	ask_name(LINK, 1);
	reply.xid = asked_xid;
	step(&(struct event){.type = EVENT_MESSAGE, .link = PARENT, .message = &reply});
	ck_assert(answered && answer.opcode == OP_OK_REPLY);
	ck_assert_str_eq(core_ancestor_address(core, 0), "unix:/run/a");
	ck_assert_str_eq(core_ancestor_address(core, 1), "127.0.0.1:5");
	ck_assert_ptr_null(core_ancestor_address(core, 2));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("floods");
	TCase *tests = tcase_create("floods");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, NULL, teardown);
	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, test_sessions_of_nobody);
	tcase_add_test(tests, test_sessions_of_one_peer);
	tcase_add_test(tests, test_bytes_of_claims);
	tcase_add_test(tests, test_bytes_that_do_not_go_on);
	tcase_add_test(tests, test_names_unknown_above);
	tcase_add_test(tests, test_names_without_parent);
	tcase_add_test(tests, test_names);
	tcase_add_test(tests, test_addresses);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
