// SPDX-License-Identifier: MIT
// A node that knows better than its parent: what is not the newest is not used any more, and a lease counts as far as it is
// believed.
#include "cache/stack.h"
#include "core/core.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, BLOCKS = 64, PARENT = 1, LEASE_MS = 10000 };

static struct stack *cache;
static struct core *core;
static struct actions *actions;
static moment_us now;
static struct message said; // last, to the parent
static bool has_said, has_ended;

static void
step(const struct event *event)
{
	has_said = has_ended = false;
	core_step(core, now, event, actions);
	for (size_t i = 0; i < actions_count(actions); i++) {
		const struct action *action = actions_get(actions, i);

		has_ended |= action->type == ACTION_IO_DONE && action->error == ERR_OK;
		if (action->type != ACTION_SEND || action->message->opcode == OP_HEARTBEAT)
			continue;
		said = *action->message;
		has_said = true;
	}
	actions_reset(actions);
	core_check(core);
}

static void
answer(struct message message)
{
	message.opcode = OP_OK_REPLY;
	message.hops_left = 32;
	message.xid = said.xid;
	step(&(struct event){.type = EVENT_MESSAGE, .link = PARENT, .message = &message});
}

// ${ttl_ms}: what is believed; UINT32_MAX: that is not said.
static void
connect(uint32_t ttl_ms)
{
	step(&(struct event){.type = EVENT_LINK_UP, .link = PARENT, .role = LINK_PARENT, .address = "unix:parent"});
	ck_assert(has_said && said.opcode == OP_CONNECT);
	answer((struct message){
		.present = PRESENT(VOLUME_NAME) | PRESENT(VOLUME_ID) | PRESENT(CONNECT_FLAGS) | PRESENT(HB_TTL) | PRESENT(SESSION) |
			   PRESENT(VOLUME_SIZE) | PRESENT(BLOCK_SIZE) | PRESENT(EPOCH) | PRESENT(PATH) | PRESENT(CREDITS) |
			   (ttl_ms != UINT32_MAX ? PRESENT(TTL) : 0),
		.volume_name = {(const uint8_t *)"v", 1},
		.volume_id = 9,
		.hb_ttl_ms = LEASE_MS,
		.ttl_ms = ttl_ms,
		.session = 77,
		.volume_size = BLOCKS * BLOCK,
		.block_size = BLOCK,
		.epoch = 1,
		.path = {1000},
		.path_count = 1,
		.credits = 64,
	});
}

static void
setup(void)
{
	const struct level_config level = {.size = 64 * BLOCK};
	struct core_config config;
	struct copies copies;

	core_config_default(&config);
	config.name = "leaf";
	config.node_id = 1;
	config.session_seed = 5000;
	config.epoch = 1;
	config.has_parent = config.has_driver = true;
	config.readahead_blocks = 0;
	cache = stack_create(BLOCK, &level, 1);
	copies = stack_copies(cache);
	core = core_create(&config, &copies);
	ck_assert_int_eq(core_add_child_volume(core, "v", false), 0);
	actions = actions_create();
	now = 1000000;
}

static void
teardown(void)
{
	core_destroy(core);
	stack_destroy(cache);
	actions_destroy(actions);
}

static struct io io;

static void
use(enum io_kind kind, uint64_t block)
{
	io = (struct io){.kind = kind, .volume = 0, .offset = block * BLOCK, .size = BLOCK};
	step(&(struct event){.type = EVENT_IO, .io = &io});
}

// The parent gives the block that it was asked for.
static void
give(enum perm perm)
{
	struct buf *buf = buf_alloc(core_pool(core, BLOCK));
	struct item item = {.version = version_make(1, 1), .kind = ITEM_DATA, .buf = buf, .bytes = buf_bytes(buf)};

	memset(buf_bytes(buf), 5, BLOCK);
	answer((struct message){
		.present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(PERMISSIONS) | PRESENT(TTL) | PRESENT(HB_TTL) |
			   PRESENT(GRANT) | PRESENT(EPOCH),
		.volume_id = 9,
		.block = said.block,
		.count = 1,
		.perm = perm,
		.ttl_ms = 1000000,
		.hb_ttl_ms = LEASE_MS,
		.grant = 1,
		.epoch = 1,
		.items = &item,
		.data_size = BLOCK,
	});
	buf_unref(buf);
}

static struct block_info
look(uint64_t block)
{
	struct block_info info;

	core_block_info(core, 0, block, now, &info);
	return info;
}

START_TEST(test_dropped)
{
	uint32_t at = 0, looks = 0;
	uint64_t block;

	connect(UINT32_MAX);
	use(IO_READ, 7);
	ck_assert(has_said && said.opcode == OP_GET && said.block == 7);
	give(PERM_READ);
	ck_assert(has_ended && look(7).readable && !look(7).unstable);
	ck_assert(!core_next_copy(core, 0, &at, &looks, &block)); // there may be some: it was not to look
	looks = 100;
	ck_assert(core_next_copy(core, 0, &at, &looks, &block) && block == 7);
	ck_assert(looks < 100);
	ck_assert(!core_next_copy(core, 0, &at, &looks, &block) && looks > 0);
	use(IO_READ, 7);
	ck_assert(has_ended && !has_said);
	step(&(struct event){.type = EVENT_OUTDATED, .volume = 0, .block = 7});
	step(&(struct event){.type = EVENT_OUTDATED, .volume = 0, .block = 8}); // of which there is nothing
	ck_assert(!look(7).readable);
	use(IO_READ, 7); // with bytes: nothing is said of what there was
	ck_assert(!has_ended && has_said && said.opcode == OP_GET && !(said.present & PRESENT(DIGEST)));
	give(PERM_READ);
	ck_assert(has_ended && look(7).readable);
}
END_TEST

// What was written here is kept until it is at the root, whoever says what.
START_TEST(test_own)
{
	connect(UINT32_MAX);
	use(IO_WRITE, 7);
	ck_assert(has_said && said.opcode == OP_PUT);
	give(PERM_WRITE);
	ck_assert(has_ended && look(7).dirty);
	step(&(struct event){.type = EVENT_OUTDATED, .volume = 0, .block = 7});
	ck_assert(look(7).dirty && look(7).readable);
	now += 6 * 1000 * 1000;
	step(&(struct event){.type = EVENT_TIMER});
	ck_assert(has_said && said.opcode == OP_FLUSH);
	answer((struct message){.present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM), .volume_id = 9, .block = 7, .count = 1});
	ck_assert(look(7).unstable);
	step(&(struct event){.type = EVENT_OUTDATED, .volume = 0, .block = 7});
	ck_assert(look(7).copy != NULL);
}
END_TEST

// A lease is as long as it is believed.
START_TEST(test_lease)
{
	struct volume_info info;

	connect(LEASE_MS / 2);
	use(IO_READ, 7);
	give(PERM_READ);
	core_volume_info(core, 0, now, &info);
	ck_assert_int_le(info.parent_lease_ms, LEASE_MS / 2);
	now += (LEASE_MS / 2 - 1) * 1000;
	ck_assert(look(7).readable);
	now += 1000;
	ck_assert(!look(7).readable);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("outdated");
	TCase *tcase = tcase_create("outdated");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_dropped);
	tcase_add_test(tcase, test_own);
	tcase_add_test(tcase, test_lease);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
