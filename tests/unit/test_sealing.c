// SPDX-License-Identifier: MIT
// Links of sealed volumes, with real keys and threads: messages stay in their order, what is not proven does not come
// through, and links may be closed wherever somebody is called.
#include "node/sealing.h"

#include "crypto/seal.h"
#include "tests/unit/seal_help.h"

#include <check.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096, RUN = 256, BEFORE = 16, LOG = 512, BLOCKS = 4096 };

// One end of a link. What it sends is what ${peer} receives, or nobody.
struct end {
	struct sealing_link *link;
	struct sealing_volume volume;
	struct end *peer;
	uint32_t came[LOG], count; // xids, in the order in which messages came; refused ones too
	uint32_t refused, unsendable, pauses;
	bool paused;
	uint32_t close_at;      // within the callback for this xid; 0: never
	void (*at)(struct end *end, uint32_t xid); // within each, or NULL
	struct buf *first[LOG]; // by xid: of the first block, with a count
	enum item_kind kind;    // of the last block that was sent
	version_t told, sealed; // of the last block that was sent: the message's version, the verifier's
	struct sealed_entry known; // of the block that is_old was asked for last
	bool old;                  // what is_old says
	uint32_t spoilt;           // a byte of the block of this xid is changed on its way; 0: none
	uint32_t renamed;          // the block of this xid is told to be ${new_version}; 0: none
	version_t new_version;
	struct message *sent[LOG]; // by xid, if there is no peer
};

static struct event_base *base;
static struct sealing *sealing;
static struct buf_pool *pool;
static struct volume_key *owner, *reader_key, *proxy_key;
static struct end one, two;

// ---- Ends ----

static void
note(struct end *end, uint32_t xid)
{
	ck_assert_ptr_nonnull(end->link); // nobody is called after the link was closed
	ck_assert_uint_lt(end->count, LOG);
	end->came[end->count++] = xid;
	if (end->at != NULL)
		end->at(end, xid);
	if (end->close_at != xid)
		return;
	sealing_close(end->link);
	end->link = NULL;
}

static void
on_receive(void *arg, const struct message *message, int volume)
{
	struct end *end = arg;

	ck_assert_int_eq(volume, end->volume.index);
	buf_unref(end->first[message->xid]);
	end->first[message->xid] = NULL;
	if (message->items != NULL && message->items[0].buf != NULL)
		end->first[message->xid] = buf_ref(message->items[0].buf);
	note(end, message->xid);
}

static void
on_refuse(void *arg, const struct message *message, const struct sealing_fault *fault)
{
	struct end *end = arg;

	ck_assert_ptr_nonnull(fault->why);
	end->refused++;
	note(end, message->xid);
}

static bool
on_is_old(void *arg, int volume, uint64_t block, const struct sealed_entry *coming, const struct sealed_entry *filed)
{
	struct end *end = arg;

	(void)volume, (void)coming;
	if (end->volume.root != NULL)
		end->known = sealed_root_find(end->volume.root, block, filed);
	return end->old;
}

static void
on_send(void *arg, const struct message *message, size_t block_size)
{
	struct end *end = arg;
	struct message copy = *message;
	struct item items[RUN];
	struct buf *spoilt = NULL;

	ck_assert_uint_eq(block_size, BLOCK);
	if (message->items != NULL) {
		const struct item *item = &message->items[message->count - 1];

		end->kind = item->kind;
		end->told = item->version;
		end->sealed = seal_version(item->verifier.bytes, item->verifier.size);
		memcpy(items, message->items, message->count * sizeof(*items));
		copy.items = items;
	}
	if (end->spoilt == message->xid && end->spoilt != 0) {
		spoilt = buf_alloc(pool);
		memcpy(buf_bytes(spoilt), buf_bytes(items[0].buf), BLOCK);
		buf_bytes(spoilt)[17] ^= 1;
		items[0].buf = spoilt;
	}
	if (end->renamed == message->xid && end->renamed != 0)
		items[0].version = end->new_version;
	if (end->peer == NULL)
		end->sent[message->xid] = message_copy(&copy);
	else if (end->peer->link != NULL)
		sealing_received(end->peer->link, &end->peer->volume, &copy);
	buf_unref(spoilt);
}

static void
on_unsendable(void *arg, const struct message *message)
{
	struct end *end = arg;

	end->unsendable++;
	note(end, message->xid);
}

static void
on_pause(void *arg, bool paused)
{
	struct end *end = arg;

	ck_assert(paused != end->paused);
	end->paused = paused;
	end->pauses++;
}

static const struct sealing_callbacks callbacks = {on_receive, on_refuse, on_is_old, on_send, on_unsendable, on_pause};

static void
end_open(struct end *end, const struct volume_key *key, const struct sealed_root *root)
{
	*end = (struct end){.volume = {.index = 3,
						 .key = key,
						 .maker = volume_key_role(key) >= VOLUME_ROLE_WRITER ? key : NULL,
						 .pool = pool, .block_size = BLOCK, .root = root}};
	end->link = sealing_open(sealing, &callbacks, end);
}

static void
end_close(struct end *end)
{
	if (end->link != NULL)
		sealing_close(end->link);
	end->link = NULL;
	for (size_t i = 0; i < LOG; i++) {
		buf_unref(end->first[i]);
		message_free(end->sent[i]);
	}
	memset(end->first, 0, sizeof(end->first));
	memset(end->sent, 0, sizeof(end->sent));
}

static void
setup(void)
{
	base = event_base_new();
	sealing = sealing_create(base);
	ck_assert_ptr_nonnull(sealing);
	pool = buf_pool_create(BLOCK);
	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 1);
	reader_key = seal_help_key(1, VOLUME_ROLE_READER, 1);
	proxy_key = seal_help_key(1, VOLUME_ROLE_PROXY, 1);
	end_open(&one, owner, NULL);
	end_open(&two, owner, NULL);
	one.peer = &two;
}

static void
teardown(void)
{
	end_close(&one);
	end_close(&two);
	sealing_destroy(sealing);
	event_base_free(base);
	ck_assert_uint_eq(buf_pool_used(pool), 0);
	buf_pool_destroy(pool);
	volume_key_destroy(owner);
	volume_key_destroy(reader_key);
	volume_key_destroy(proxy_key);
}

// ---- Messages ----

static struct buf *
content(uint32_t xid)
{
	struct buf *buf = buf_alloc(pool);

	memset(buf_bytes(buf), (int)(xid % 255 + 1), BLOCK);
	return buf;
}

static void
send_bufs(struct end *end, uint32_t xid, version_t version, struct buf **bufs, uint32_t count)
{
	struct item items[RUN] = {{.version = 0}};
	struct message message = {.opcode = OP_FLUSH,
				  .xid = xid,
				  .present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM),
				  .block = xid,
				  .count = count,
				  .items = count > 0 ? items : NULL};

	for (uint32_t i = 0; i < count; i++)
		items[i] = (struct item){.version = version, .kind = bufs[i] == buf_zero() ? ITEM_ZERO : ITEM_DATA, .buf = bufs[i]};
	sealing_send(end->link, &end->volume, &message);
}

// ${count} blocks; 0: a message without any.
static void
send_run(struct end *end, uint32_t xid, uint32_t count)
{
	struct buf *bufs[RUN];

	for (uint32_t i = 0; i < count; i++)
		bufs[i] = content(xid);
	send_bufs(end, xid, 100, bufs, count);
	for (uint32_t i = 0; i < count; i++)
		buf_unref(bufs[i]);
}

static void
send_again(struct end *from, struct end *end, uint32_t xid, version_t version)
{
	ck_assert_ptr_nonnull(from->first[xid]);
	send_bufs(end, xid, version, &from->first[xid], 1);
}

static void
run_until(const struct end *end, uint32_t count)
{
	while (end->count < count)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
}

static void
assert_content(const struct end *end, uint32_t xid, bool same)
{
	struct buf *wanted = content(xid);

	ck_assert_ptr_nonnull(end->first[xid]);
	ck_assert_int_eq(memcmp(buf_bytes(end->first[xid]), buf_bytes(wanted), BLOCK) == 0, same);
	buf_unref(wanted);
}

// ---- Cases ----

// Much, little and nothing to compute: all arrives in the order in which it was sent.
START_TEST(test_order)
{
	enum { MESSAGES = 200 };

	for (uint32_t xid = 1; xid <= MESSAGES; xid++)
		send_run(&one, xid, xid % 3 == 0 ? 0 : xid % 3 == 1 ? RUN : 1);
	run_until(&two, MESSAGES);
	for (uint32_t i = 0; i < MESSAGES; i++) {
		ck_assert_uint_eq(two.came[i], i + 1);
		if ((i + 1) % 3 != 0)
			assert_content(&two, i + 1, true);
	}
	ck_assert_uint_eq(two.refused, 0);
	ck_assert_uint_eq(sealing_queued(one.link), 0);
}
END_TEST

// What was changed on its way is refused, in its place, and what follows arrives.
START_TEST(test_refused)
{
	one.spoilt = 2;
	for (uint32_t xid = 1; xid <= 4; xid++)
		send_run(&one, xid, 1);
	run_until(&two, 4);
	ck_assert_uint_eq(two.refused, 1);
	ck_assert_ptr_null(two.first[2]);
	for (uint32_t xid = 1; xid <= 4; xid++)
		ck_assert_uint_eq(two.came[xid - 1], xid);
	two.old = true;
	send_run(&one, 5, 1);
	run_until(&two, 5);
	ck_assert_uint_eq(two.refused, 2);
}
END_TEST

// Bytes are told to be of another version than they were sealed as (100): of a later one they may be (R11).
START_TEST(test_renamed)
{
	static const version_t versions[] = {99, 0, 101};

	for (uint32_t i = 0; i < 3; i++) {
		one.renamed = i + 1;
		one.new_version = versions[i];
		send_run(&one, i + 1, 1);
		run_until(&two, i + 1);
	}
	ck_assert_uint_eq(two.refused, 2);
	assert_content(&two, 3, true);
}
END_TEST

// A proxy has ciphertext, and passes it on as it came; zeros too. Of bytes without a proof it can say nothing.
START_TEST(test_through_proxy)
{
	struct buf *zero = buf_zero();
	struct end proxy;

	end_open(&proxy, proxy_key, NULL);
	end_close(&two);
	end_open(&two, reader_key, NULL);
	one.peer = &proxy;
	proxy.peer = &two;
	send_run(&one, 1, 1);
	send_bufs(&one, 2, 100, &zero, 1);
	run_until(&proxy, 2);
	assert_content(&proxy, 1, false);
	send_again(&proxy, &proxy, 1, 107); // under a later number
	send_again(&proxy, &proxy, 2, 107);
	ck_assert_int_eq(proxy.kind, ITEM_ZERO);
	run_until(&two, 2);
	assert_content(&two, 1, true);
	ck_assert_int_eq(buf_bytes(two.first[2])[5], 0);
	ck_assert_uint_eq(two.refused, 0);
	send_run(&proxy, 4, 1);
	ck_assert_uint_eq(proxy.unsendable, 1);
	end_close(&proxy);
}
END_TEST

// The link is closed by who is called, with messages before and behind on their way, both ways.
START_TEST(test_close_within)
{
	two.close_at = 3;
	for (uint32_t xid = 1; xid <= 9; xid++)
		send_run(&one, xid, RUN);
	send_run(&two, 1, RUN);
	run_until(&two, 3);
	ck_assert_ptr_null(two.link);
	send_run(&one, 10, 0); // behind all of them
	end_close(&two);
	end_open(&two, owner, NULL);
	end_close(&one);
	end_open(&one, proxy_key, NULL);
	one.close_at = 11;
	send_run(&one, 11, 1); // within the call
	ck_assert_ptr_null(one.link);
	end_close(&one);
	end_open(&one, owner, NULL);
	one.peer = &two;
	one.spoilt = two.close_at = 12;
	send_run(&one, 12, 1);
	send_run(&one, 13, 1);
	run_until(&two, 1);
	ck_assert_uint_eq(two.refused, 1);
	ck_assert_ptr_null(two.link);
}
END_TEST

// A link of which too much waits rests, and goes on.
START_TEST(test_pause)
{
	enum { MESSAGES = 40 }; // of 1 MiB

	for (uint32_t xid = 1; xid <= MESSAGES; xid++)
		send_run(&one, xid, RUN);
	run_until(&two, MESSAGES);
	ck_assert(!two.paused);
	ck_assert_uint_eq(two.pauses % 2, 0);
}
END_TEST

// Bytes that have a proof keep it, but for a root that had to give them another number: it seals them as that.
START_TEST(test_other_number)
{
	char directory[] = "/tmp/test_sealing.XXXXXX", spec[64], path[96], error[256];
	struct sealed_root *root;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(spec, sizeof(spec), "%s/v.img", directory);
	snprintf(path, sizeof(path), "%s.hvfs.seals", spec);
	close(open(spec, O_CREAT | O_WRONLY, 0600));
	root = sealed_root_open(spec, BLOCKS, owner, REST_PLAIN, false, error, sizeof(error));
	ck_assert_msg(root != NULL, "%s", error);
	send_run(&one, 1, 1);
	run_until(&two, 1);
	two.peer = &one;
	send_again(&two, &two, 1, 105);
	run_until(&one, 1);
	ck_assert_uint_eq(two.told, 105);
	ck_assert_uint_eq(two.sealed, 100);
	two.volume.root = root;
	send_again(&two, &two, 1, 105);
	run_until(&one, 2);
	ck_assert_uint_eq(two.sealed, 105);
	send_again(&two, &two, 1, 100);
	run_until(&one, 3);
	ck_assert_uint_eq(two.sealed, 100);
	ck_assert_uint_eq(one.refused, 0);
	assert_content(&one, 1, true);
	end_close(&one);
	end_close(&two);
	sealed_root_close(root);
	unlink(path);
	unlink(spec);
	rmdir(directory);
}
END_TEST

// ${two} passes its block on under ${version}: as what is it sealed? It is right in any case. (Who receives it decrypts it where it
// is.)
static version_t
passed_on_as(version_t version)
{
	const struct proof *proof = buf_proof(two.first[1]);
	struct buf *copy = buf_alloc(pool);
	uint32_t count = one.count;

	memcpy(buf_bytes(copy), buf_bytes(two.first[1]), BLOCK);
	buf_set_proof(copy, proof->bytes, proof->size);
	send_bufs(&two, 1, version, &copy, 1);
	buf_unref(copy);
	run_until(&one, count + 1);
	ck_assert_uint_eq(one.refused, 0);
	assert_content(&one, 1, true);
	return two.sealed;
}

// Of three blocks under another number one is not what a writer has sealed: it goes as it is, the others are sealed anew.
static void
one_is_not_right(void)
{
	struct seal_cache *cache = seal_cache_create();
	const struct proof *proof = buf_proof(two.first[1]);
	struct buf *bufs[3] = {two.first[1], buf_alloc(pool), buf_zero()};

	memcpy(buf_bytes(bufs[1]), buf_bytes(two.first[1]), BLOCK);
	buf_set_proof(bufs[1], proof->bytes, proof->size); // that of another block
	two.peer = NULL;
	send_bufs(&two, 1, version_make(6, 0), bufs, 3);
	while (two.sent[1] == NULL)
		ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	for (uint32_t i = 0; i < 3; i++) {
		const struct item *item = &two.sent[1]->items[i];
		struct seal_place place = {.block = 1 + i, .version = version_make(6, 0), .block_size = BLOCK};

		ck_assert_int_eq(seal_check(proxy_key, cache, &place, i == 2 ? NULL : buf_bytes(item->buf), item->verifier.bytes,
					    item->verifier.size),
				 i == 1 ? SEAL_FORGED : SEAL_OK);
	}
	two.peer = &one;
	sealing_received(one.link, &one.volume, two.sent[1]);
	run_until(&one, one.count + 1);
	ck_assert_uint_eq(one.refused, 1);
	buf_unref(bufs[1]);
	seal_cache_destroy(cache);
}

// A root that has ciphertext in memory, with proofs that it got when it came, passes it on as it is: what has another number
// then is content whose number was forgotten. But not if it came with one that it was not sealed as; nor in an epoch that
// began since, unless that is the one of a start in order. And where there is no proof there are zeros.
START_TEST(test_root_with_ciphertext)
{
	char directory[] = "/tmp/test_sealing.XXXXXX", spec[64], path[96], error[256];
	const version_t written = version_make(4, 100);
	struct raised *raised = raised_create();
	struct buf *zero = buf_zero(), *buf = content(1);
	struct sealed_root *root;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(spec, sizeof(spec), "%s/v.img", directory);
	snprintf(path, sizeof(path), "%s.hvfs.seals", spec);
	close(open(spec, O_CREAT | O_WRONLY, 0600));
	root = sealed_root_open(spec, BLOCKS, owner, REST_SEALED, false, error, sizeof(error));
	ck_assert_msg(root != NULL, "%s", error);
	end_close(&two);
	end_open(&two, proxy_key, root);
	two.volume.maker = owner;
	two.volume.raised = raised;
	two.volume.epoch = 5;
	send_bufs(&one, 1, written, &buf, 1);
	buf_unref(buf);
	run_until(&two, 1);
	assert_content(&two, 1, false);
	two.peer = &one;
	ck_assert_uint_eq(passed_on_as(written), written);
	ck_assert_uint_eq(passed_on_as(version_make(4, 105)), written);
	ck_assert_uint_eq(passed_on_as(version_make(5, 0)), written);
	ck_assert_uint_eq(passed_on_as(version_make(6, 0)), version_make(6, 0));
	two.volume.settled = 4;
	ck_assert_uint_eq(passed_on_as(version_make(5, 0)), written);
	two.volume.settled = 5;
	ck_assert_uint_eq(passed_on_as(version_make(5, 0)), version_make(5, 0));
	two.volume.epoch = two.volume.settled = 0;
	ck_assert_uint_eq(passed_on_as(version_make(5, 0)), version_make(5, 0));
	raised_came(raised, 1, 5, 6);
	raised_came(raised, 1, 5, 5); // which the core may have refused
	ck_assert_uint_eq(passed_on_as(version_make(4, 105)), version_make(4, 105));
	raised_stored(raised, 1, 5, 5);
	ck_assert_uint_eq(passed_on_as(version_make(4, 105)), written);
	send_bufs(&two, 2, written, &zero, 1);
	ck_assert_uint_eq(two.unsendable, 0);
	run_until(&one, one.count + 1);
	ck_assert_int_eq(two.kind, ITEM_ZERO);
	ck_assert_uint_eq(one.refused, 0);
	one_is_not_right();
	end_close(&one);
	end_close(&two);
	sealed_root_close(root);
	raised_destroy(raised);
	unlink(path);
	unlink(spec);
	rmdir(directory);
}
END_TEST

static struct sealed_root *saved_root;

// What was written has gone to the file, and is not in memory any more.
static void
save(struct end *end, uint32_t xid)
{
	sealed_root_begin(saved_root);
	ck_assert_int_eq(sealed_root_save(saved_root), 0);
	sealed_root_end(saved_root, true);
}

// It says which thread checks it.
static uint64_t
write_of(const struct message *message)
{
	return seal_write_of(message->items[0].verifier.bytes, message->items[0].verifier.size);
}

// A thread has read what the file has of a block, and the file is written before that is used. (With one core there is one
// thread, and nothing is shown.)
START_TEST(test_file_written_meanwhile)
{
	char directory[] = "/tmp/test_sealing.XXXXXX", spec[64], path[96], error[256];
	long threads = sysconf(_SC_NPROCESSORS_ONLN) < 4 ? sysconf(_SC_NPROCESSORS_ONLN) : 4;
	struct end other, behind;
	uint32_t late = 1;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(spec, sizeof(spec), "%s/v.img", directory);
	snprintf(path, sizeof(path), "%s.hvfs.seals", spec);
	close(open(spec, O_CREAT | O_WRONLY, 0600));
	saved_root = sealed_root_open(spec, BLOCKS, owner, REST_PLAIN, false, error, sizeof(error));
	ck_assert_msg(saved_root != NULL, "%s", error);
	end_open(&other, owner, NULL);
	end_open(&behind, owner, NULL);
	two.volume.root = saved_root;
	one.peer = NULL;
	send_run(&one, 1, RUN);
	do {
		send_run(&one, ++late, 1);
		while (one.sent[late] == NULL)
			ck_assert_int_eq(event_base_loop(base, EVLOOP_ONCE), 0);
	} while (threads > 1 && write_of(one.sent[late]) % (uint64_t)threads == write_of(one.sent[1]) % (uint64_t)threads);
	sealed_root_wrote(saved_root, late, &(struct sealed_entry){.sealed = 7, .protocol = 7});
	sealed_root_stored(saved_root, late, 1);
	behind.at = save; // this block has been looked up then, on the same thread, and waits for all that comes before it on another
	for (uint32_t i = 0; i < BEFORE; i++)
		sealing_received(two.link, &two.volume, one.sent[1]);
	sealing_received(two.link, &two.volume, one.sent[late]);
	for (long i = 1; i < threads; i++)
		sealing_received(other.link, &other.volume, one.sent[late]);
	sealing_received(behind.link, &behind.volume, one.sent[late]);
	run_until(&behind, 1);
	behind.at = NULL;
	run_until(&two, BEFORE + 1);
	ck_assert_uint_eq(two.known.sealed, 7);
	run_until(&other, (uint32_t)threads - 1);
	end_close(&other);
	end_close(&behind);
	end_close(&one);
	end_close(&two);
	sealed_root_close(saved_root);
	unlink(path);
	unlink(spec);
	rmdir(directory);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("sealing");
	TCase *tcase = tcase_create("sealing");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, test_order);
	tcase_add_test(tcase, test_refused);
	tcase_add_test(tcase, test_renamed);
	tcase_add_test(tcase, test_through_proxy);
	tcase_add_test(tcase, test_close_within);
	tcase_add_test(tcase, test_pause);
	tcase_add_test(tcase, test_other_number);
	tcase_add_test(tcase, test_root_with_ciphertext);
	tcase_add_test(tcase, test_file_written_meanwhile);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
