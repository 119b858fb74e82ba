// SPDX-License-Identifier: MIT
// What a root's core tells of a sealed volume, which it has in the clear, to a child that may have no key.
#include "cache/stack.h"
#include "core/core.h"

#include <check.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512, BLOCKS = 64, CHILD = 1 };

static struct stack *cache;
static struct core *core;
static struct actions *actions;
static struct buf *stored; // what the storage has of each block
static moment_us now;
static struct message answer; // to the last message
static enum item_kind kind;   // of its block

static void
step(const struct event *event)
{
	struct event read = {.type = EVENT_TIMER};

	core_step(core, ++now, event, actions);
	for (size_t i = 0; i < actions_count(actions); i++) {
		const struct action *action = actions_get(actions, i);

		if (action->type == ACTION_STORE_READ) // of one block
			read = (struct event){.type = EVENT_STORE_READ, .store_cookie = action->store_cookie, .bufs = &stored, .count = 1};
		if (action->type != ACTION_SEND)
			continue;
		answer = *action->message;
		kind = answer.items != NULL ? answer.items[0].kind : ITEM_EMPTY;
	}
	actions_reset(actions);
	core_check(core);
	if (read.type == EVENT_STORE_READ)
		step(&read);
}

static void
say(struct message message)
{
	message.hops_left = 32;
	message.xid = answer.xid + 1;
	step(&(struct event){.type = EVENT_MESSAGE, .link = CHILD, .message = &message});
	ck_assert_int_eq(answer.opcode, OP_OK_REPLY);
}

static void
start(bool sealed)
{
	static const uint8_t id[SEALED_KEY_ID_SIZE] = "some key";
	const struct level_config level = {.size = 64 * BLOCK};
	struct core_config config;
	struct copies copies;

	core_config_default(&config);
	config.name = "root";
	config.node_id = 1000;
	config.session_seed = 5000;
	cache = stack_create(BLOCK, &level, 1);
	copies = stack_copies(cache);
	core = core_create(&config, &copies);
	ck_assert_int_eq(core_add_root_volume(core, "v", BLOCKS * BLOCK, BLOCK, false), 0);
	if (sealed)
		core_set_volume_key(core, 0, id);
	actions = actions_create();
	now = 1000000;
	stored = buf_alloc(core_pool(core, BLOCK));
	memset(buf_bytes(stored), 5, BLOCK);
	memset(&answer, 0, sizeof(answer));
	step(&(struct event){.type = EVENT_LINK_UP, .link = CHILD, .role = LINK_CHILD, .peer = CHILD});
	say((struct message){
		.opcode = OP_CONNECT,
		.present = PRESENT(VOLUME_NAME) | PRESENT(PROTOCOL) | PRESENT(NODE_ID) | PRESENT(NODE_NAME) | PRESENT(SESSION) |
			   PRESENT(LINK_NUMBER) | (sealed ? PRESENT(KEY) : 0),
		.volume_name = {(const uint8_t *)"v", 1},
		.node_name = {(const uint8_t *)"n", 1},
		.key = {id, sealed ? sizeof(id) : 0},
		.protocol = PROTOCOL_VERSION,
		.node_id = 7,
		.link_number = 1,
	});
}

static void
end(void)
{
	buf_unref(stored);
	core_destroy(core);
	stack_destroy(cache);
	actions_destroy(actions);
}

// Who says that it has these bytes.
static void
ask(void)
{
	uint8_t digest[BLOCK_DIGEST_SIZE];

	ck_assert_int_eq(crypto_generichash(digest, sizeof(digest), buf_bytes(stored), BLOCK, NULL, 0), 0);
	say((struct message){
		.opcode = OP_GET,
		.present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(PERMISSIONS) | PRESENT(DIGEST),
		.volume_id = answer.volume_id,
		.block = 7,
		.count = 1,
		.perm = PERM_READ,
		.digest = {digest, sizeof(digest)},
	});
}

// Of a volume that is not sealed it is believed, and gets no bytes.
START_TEST(test_plain)
{
	start(false);
	ask();
	ck_assert_int_eq(kind, ITEM_EMPTY);
	end();
}
END_TEST

// Of a sealed one that would tell a guess from the truth.
START_TEST(test_guess)
{
	start(true);
	ask();
	ck_assert_int_eq(kind, ITEM_DATA);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sealed");
	TCase *tcase = tcase_create("sealed");
	SRunner *runner;
	int failed;

	tcase_add_test(tcase, test_plain);
	tcase_add_test(tcase, test_guess);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
