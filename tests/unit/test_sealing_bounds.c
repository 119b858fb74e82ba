// SPDX-License-Identifier: MIT
// Sealed links: what waits to be checked takes no more memory than it may, on one link and on all. (What gets through is
// fuzz_sealing's affair.) Until the loop runs nothing that came is given back.
#include "node/sealing.h"
#include "tests/unit/seal_help.h"

#include <check.h>
#include <string.h>

enum { BLOCK_SIZE = 4096, BLOCKS = 256, MIB = 1 << 20, LINKS = 12 };

struct link {
	struct sealing_link *sealing;
	uint32_t received, refused;
	bool paused;
	size_t used; // of the pool, when a message was received
};

static struct event_base *base;
static struct sealing *sealing;
static struct volume_key *owner, *proxy;
static struct buf_pool *pool;
static struct sealed sealed;
static struct link links[LINKS];

static void
on_receive(void *arg, const struct message *message, int volume)
{
	struct link *link = arg;

	ck_assert(message->count == BLOCKS && volume == 0);
	link->received++;
	link->used = buf_pool_used(pool);
}

static void
on_refuse(void *arg, const struct message *message, const struct sealing_fault *fault)
{
	struct link *link = arg;

	ck_assert(message->count == BLOCKS && fault->why != NULL);
	link->refused++;
	link->used = buf_pool_used(pool);
}

static bool
on_is_old(void *arg, int volume, uint64_t block, const struct sealed_entry *coming, const struct sealed_entry *filed)
{
	(void)arg, (void)volume, (void)block, (void)coming, (void)filed;
	return false;
}

static void
on_pause(void *arg, bool paused)
{
	struct link *link = arg;

	ck_assert(paused != link->paused);
	link->paused = paused;
}

static const struct sealing_callbacks callbacks = {
	.receive = on_receive, .refuse = on_refuse, .is_old = on_is_old, .pause = on_pause};

static void
link_open(struct link *link)
{
	*link = (struct link){.sealing = sealing_open(sealing, &callbacks, link)};
}

static void
setup(void)
{
	base = event_base_new();
	sealing = sealing_create(base);
	pool = buf_pool_create(BLOCK_SIZE);
	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 1);
	proxy = seal_help_key(1, VOLUME_ROLE_PROXY, 1);
	ck_assert(base != NULL && sealing != NULL && pool != NULL);
	for (size_t i = 0; i < LINKS; i++)
		link_open(&links[i]);
}

static void
teardown(void)
{
	for (size_t i = 0; i < LINKS; i++)
		sealing_close(links[i].sealing);
	while (buf_pool_used(pool) > 0)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	sealing_destroy(sealing);
	buf_pool_destroy(pool);
	volume_key_destroy(owner);
	volume_key_destroy(proxy);
	event_base_free(base);
}

// Seal the blocks of all messages; ${zeros}: they are zeros.
static void
seal(bool zeros)
{
	memset(sealed.plain, 1, sizeof(sealed.plain));
	for (size_t i = 0; i < BLOCKS; i++)
		sealed.blocks[i] = (struct seal_block){.place = {.block = i, .version = version_make(1, 1), .block_size = BLOCK_SIZE},
						       .plain = zeros ? NULL : sealed.plain[i],
						       .cipher = sealed.cipher[i]};
	seal_make(owner, sealed.blocks, BLOCKS, sealed.verifiers);
}

// All of them come over ${link}, to a proxy or to a writer.
static void
come(struct link *link, const struct volume_key *key)
{
	struct sealing_volume volume = {.index = 0, .key = key, .maker = volume_key_role(key) >= VOLUME_ROLE_WRITER ? key : NULL, .pool = pool, .block_size = BLOCK_SIZE};
	struct item items[BLOCKS];
	struct message message = {.opcode = OP_FLUSH, .present = PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT), .count = BLOCKS, .items = items};

	for (size_t i = 0; i < BLOCKS; i++) {
		bool zeros = sealed.blocks[i].plain == NULL;

		items[i] = (struct item){.version = version_make(1, 1), .kind = zeros ? ITEM_ZERO : ITEM_DATA};
		items[i].verifier = (struct blob){sealed.verifiers[i].bytes, sealed.verifiers[i].size};
		if (zeros)
			continue;
		items[i].buf = buf_alloc(pool);
		items[i].bytes = memcpy(buf_bytes(items[i].buf), sealed.cipher[i], BLOCK_SIZE);
	}
	sealing_received(link->sealing, &volume, &message);
	for (size_t i = 0; i < BLOCKS; i++)
		buf_unref(items[i].buf);
}

static void
wait_for(const struct link *link, uint32_t answers)
{
	while (link->received + link->refused < answers)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}

// Zeros take little on the way, and memory when they are known to be right.
START_TEST(test_zeros)
{
	struct link *link = &links[0];

	seal(true);
	come(link, proxy);
	ck_assert_uint_eq(buf_pool_used(pool), 0);
	wait_for(link, 1);
	ck_assert(link->received == 1 && link->used == BLOCKS);
	ck_assert_uint_eq(buf_pool_used(pool), 0);
	sealed.verifiers[BLOCKS - 1].bytes[20] ^= 1;
	come(link, proxy);
	wait_for(link, 2);
	ck_assert(link->refused == 1 && link->used == 0);
}
END_TEST

static size_t
come_until_paused(struct link *link, const struct volume_key *key)
{
	size_t messages = 0;

	while (!link->paused) {
		come(link, key);
		messages++;
		ck_assert_uint_lt(messages, 1000);
	}
	return messages;
}

START_TEST(test_link_is_paused)
{
	struct link *link = &links[0];
	size_t messages;

	seal(_i == 2);
	messages = come_until_paused(link, _i == 1 ? owner : proxy);
	if (_i < 2)
		ck_assert_uint_le(buf_pool_used(pool) * BLOCK_SIZE, 18 * MIB); // a reader's has its bytes in the clear as well
	wait_for(link, (uint32_t)messages);
	ck_assert(!link->paused && link->received == messages);
}
END_TEST

START_TEST(test_all_links_together)
{
	size_t messages[LINKS];

	seal(false);
	for (size_t i = 0; i < LINKS; i++)
		messages[i] = come_until_paused(&links[i], proxy);
	ck_assert_uint_le(buf_pool_used(pool) * BLOCK_SIZE, (64 + 16 + 2 * LINKS) * MIB);
	for (size_t i = 0; i < LINKS; i++) {
		wait_for(&links[i], (uint32_t)messages[i]);
		ck_assert(!links[i].paused && links[i].received == messages[i]);
	}
}
END_TEST

// Who connects again and again gets no more, and what a closed link has sent does not come.
START_TEST(test_closed_links_count)
{
	struct link *link = &links[0];
	size_t messages = 0;

	seal(false);
	for (size_t round = 0; round < 40; round++) {
		messages = come_until_paused(link, proxy);
		sealing_close(link->sealing);
		link_open(link);
		if (messages <= 2)
			break;
	}
	ck_assert_uint_le(messages, 2);
	ck_assert_uint_le(buf_pool_used(pool) * BLOCK_SIZE, (64 + 16 + 2) * MIB);
	come(link, proxy);
	wait_for(link, 1);
	while (buf_pool_used(pool) > 0)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	ck_assert(link->received == 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sealing");
	TCase *tcase = tcase_create("bounds");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test_zeros);
	tcase_add_loop_test(tcase, test_link_is_paused, 0, 3);
	tcase_add_test(tcase, test_all_links_together);
	tcase_add_test(tcase, test_closed_links_count);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
