// SPDX-License-Identifier: MIT
// Sealed links (node/sealing.h) of a proxy, a reader and a writer, which are fed with messages made of what writers have
// sealed, and of pieces of that. What must hold: what gets through is exactly what a writer sealed for that place; what is
// that gets through; each message once, in the order of its link; what was received is sent on as it was; in the end all
// buffers are back.
//
// The input is records of 8 bytes: see perform().
#include "tests/fuzz/mutate.h"

#include "core/check.h"
#include "node/sealing.h"
#include "tests/unit/seal_help.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum {
	RECORD = 8,
	BLOCK_SIZE = 512,
	BLOCKS = 16,  // of a volume; they are sealed as one write
	WRITES = 2,   // of each block
	VOLUMES = 2,  // that are sealed, with keys of their own
	UNKNOWN = 2,  // a third one
	LINKS = 3,    // by role: proxy, reader, writer
	ITEMS_MAX = 16,
	KEPT_MAX = 64,
	RECORDS_MAX = 256,
	OLD_BLOCK = 13,    // of which all nodes have something newer
	ZERO_BYTES = 7,    // was once written as data that is zeros
};

// What a writer has sealed.
struct truth {
	struct seal_place place;
	bool zeros; // as such
	uint8_t plain[BLOCK_SIZE], cipher[BLOCK_SIZE];
	struct seal_verifier verifier;
};

// A block that came through.
struct kept {
	struct buf *buf;
	int volume;
	uint64_t block;
	version_t version;
};

struct link {
	struct sealing_link *sealing;
	enum volume_role role;
	uint32_t sent, answered;           // messages that were given to it; xids count from 1
	bool expected[RECORDS_MAX + 1];    // by xid: is it to get through
	struct kept kept[KEPT_MAX];
	size_t kept_count;
	const struct kept *sends; // what is being sent; NULL: new bytes
	uint32_t sends_xid, sends_count;
};

// A message that is being made.
struct draft {
	struct link *link;
	struct message message;
	struct item items[ITEMS_MAX];
	uint8_t verifiers[ITEMS_MAX][LIMIT_VERIFIER_SIZE];
	int volume;
	bool wrong; // it was given something that no writer sealed
	bool has_content;
};

static struct event_base *base;
static struct sealing *sealing;
static struct volume_key *keys[VOLUMES][VOLUME_ROLE_COUNT];
static struct seal_cache *cache;
static struct truth truths[VOLUMES][WRITES][BLOCKS];
static struct buf_pool *pool, *half_pool;
static struct link links[LINKS];

// ---- What was sealed ----

static void
seal_write(unsigned volume, unsigned write)
{
	struct seal_block blocks[BLOCKS];
	struct seal_verifier verifiers[BLOCKS];

	for (unsigned i = 0; i < BLOCKS; i++) {
		struct truth *truth = &truths[volume][write][i];

		truth->place = (struct seal_place){i, version_make(1, 10 + 10 * write), BLOCK_SIZE};
		truth->zeros = i % 5 == 4;
		if (!truth->zeros && !(i == ZERO_BYTES && write == 1))
			memset(truth->plain, (int)(1 + volume * 100 + write * BLOCKS + i), BLOCK_SIZE);
		blocks[i] = (struct seal_block){truth->place, truth->zeros ? NULL : truth->plain, truth->cipher};
	}
	seal_make(keys[volume][VOLUME_ROLE_OWNER], blocks, BLOCKS, verifiers);
	for (unsigned i = 0; i < BLOCKS; i++) {
		truths[volume][write][i].verifier = verifiers[i];
		truths[volume][write][i].zeros = seal_is_of_zeros(verifiers[i].bytes, verifiers[i].size); // also of bytes that are zeros
	}
}

static void
start(void)
{
	static const enum volume_role roles[LINKS] = {VOLUME_ROLE_PROXY, VOLUME_ROLE_READER, VOLUME_ROLE_WRITER};

	base = event_base_new();
	CHECK(base != NULL);
	sealing = sealing_create(base);
	cache = seal_cache_create();
	pool = buf_pool_create(BLOCK_SIZE);
	half_pool = buf_pool_create(2 * BLOCK_SIZE);
	CHECK(sealing != NULL && cache != NULL && pool != NULL && half_pool != NULL);
	for (unsigned volume = 0; volume < VOLUMES; volume++) {
		for (int role = 0; role < VOLUME_ROLE_COUNT; role++)
			keys[volume][role] = seal_help_key(1 + volume, (enum volume_role)role, 1);
		for (unsigned write = 0; write < WRITES; write++)
			seal_write(volume, write);
	}
	for (unsigned i = 0; i < LINKS; i++)
		links[i].role = roles[i];
}

static struct sealing_volume
volume_of(const struct link *link, int volume)
{
	if (volume < 0)
		return (struct sealing_volume){.index = -1, .block_size = LIMIT_BLOCK_SIZE_MIN};
	return (struct sealing_volume){
		.index = volume,
		.key = keys[volume][link->role],
		.maker = link->role >= VOLUME_ROLE_WRITER ? keys[volume][link->role] : NULL,
		.pool = pool, .block_size = BLOCK_SIZE};
}

static bool
has_verifier(const struct truth *truth, const uint8_t *bytes, size_t size)
{
	return truth->verifier.size == size && memcmp(truth->verifier.bytes, bytes, size) == 0;
}

// Which write of that block it is; NULL: none that the version could be of.
static const struct truth *
truth_of(int volume, uint64_t block, version_t version, const uint8_t *verifier, size_t size)
{
	for (unsigned write = 0; write < WRITES && block < BLOCKS; write++) {
		const struct truth *truth = &truths[volume][write][block];

		if (has_verifier(truth, verifier, size))
			return version >= truth->place.version ? truth : NULL;
	}
	return NULL;
}

// ---- What gets through ----

static bool
is_all_zeros(const uint8_t *bytes)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, BLOCK_SIZE - 1) == 0;
}

static void
check_item(const struct link *link, int volume, uint64_t block, const struct item *item)
{
	const struct proof *proof = item->kind == ITEM_DATA ? buf_proof(item->buf) : NULL;
	const struct truth *truth;

	CHECK(item->verifier.size == 0);
	if (item->kind == ITEM_EMPTY)
		return;
	if (proof == NULL) { // who can seal zeros needs no proof of them
		bool found = false;

		CHECK(link->role == VOLUME_ROLE_WRITER && (item->kind == ITEM_ZERO || item->buf == buf_zero()));
		for (unsigned write = 0; write < WRITES; write++)
			found |= is_all_zeros(truths[volume][write][block].plain) &&
				 item->version >= truths[volume][write][block].place.version;
		CHECK(found);
		return;
	}
	truth = truth_of(volume, block, item->version, proof->bytes, proof->size);
	CHECK(truth != NULL && buf_size(item->buf) == BLOCK_SIZE && item->bytes == buf_bytes(item->buf));
	CHECK(memcmp(item->bytes, link->role == VOLUME_ROLE_PROXY && !truth->zeros ? truth->cipher : truth->plain, BLOCK_SIZE) == 0);
}

static void
answered(struct link *link, const struct message *message, bool received)
{
	CHECK(message->xid == ++link->answered);
	CHECK(received == link->expected[message->xid]);
}

static void
on_receive(void *arg, const struct message *message, int volume)
{
	struct link *link = arg;

	answered(link, message, true);
	CHECK(volume == (message->volume_id == UNKNOWN ? -1 : (int)message->volume_id));
	for (uint32_t i = 0; volume >= 0 && i < message->count; i++) {
		const struct item *item = &message->items[i];

		check_item(link, volume, message->block + i, item);
		if (item->kind == ITEM_DATA && link->kept_count < KEPT_MAX)
			link->kept[link->kept_count++] =
				(struct kept){buf_ref(item->buf), volume, message->block + i, item->version};
	}
}

static void
on_refuse(void *arg, const struct message *message, const struct sealing_fault *fault)
{
	answered(arg, message, false);
	CHECK(fault->why != NULL && fault->block >= message->block && fault->block < message->block + message->count);
}

static bool
on_is_old(void *arg, int volume, uint64_t block, const struct sealed_entry *coming, const struct sealed_entry *filed)
{
	(void)arg;
	CHECK(volume >= 0 && coming->sealed <= coming->protocol && filed == NULL);
	return block == OLD_BLOCK;
}

// It is what came, or new bytes that open again.
static void
on_send(void *arg, const struct message *message, size_t block_size)
{
	struct link *link = arg;
	int volume = (int)message->volume_id;
	const struct item *item = &message->items[0];
	struct seal_place place = {message->block, item->version, BLOCK_SIZE};
	const uint8_t *cipher = item->kind == ITEM_DATA ? buf_bytes(item->buf) : NULL;
	uint8_t plain[BLOCK_SIZE];

	CHECK(message->xid == ++link->sends_xid && block_size == BLOCK_SIZE && message->count == 1 && item->verifier.size > 0);
	CHECK(seal_open(keys[volume][VOLUME_ROLE_OWNER], cache, &place, cipher, item->verifier.bytes, item->verifier.size,
			plain) == SEAL_OK);
	if (message->flags == FLAG_FORCE_SYNC) { // new
		for (unsigned i = 0; i < BLOCK_SIZE; i++)
			CHECK(plain[i] == (uint8_t)(message->xid + i));
		return;
	}
	const struct truth *truth = truth_of(volume, message->block, item->version, item->verifier.bytes, item->verifier.size);
	if (truth == NULL)
		CHECK(link->role == VOLUME_ROLE_WRITER && is_all_zeros(plain)); // sealed anew
	else
		CHECK(memcmp(plain, truth->plain, BLOCK_SIZE) == 0 && (cipher == NULL) == truth->zeros &&
		      (cipher == NULL || memcmp(cipher, truth->cipher, BLOCK_SIZE) == 0));
}

static void
on_unsendable(void *arg, const struct message *message)
{
	struct link *link = arg;

	CHECK(message->xid == ++link->sends_xid && message->flags == FLAG_FORCE_SYNC && link->role != VOLUME_ROLE_WRITER);
}

static void
on_pause(void *arg, bool paused)
{
	(void)arg;
	(void)paused;
}

static const struct sealing_callbacks callbacks = {
	.receive = on_receive,
	.refuse = on_refuse,
	.is_old = on_is_old,
	.send = on_send,
	.unsendable = on_unsendable,
	.pause = on_pause,
};

// ---- Links ----

static void
link_open(struct link *link)
{
	link->sealing = sealing_open(sealing, &callbacks, link);
	link->sent = link->answered = link->sends_count = link->sends_xid = 0;
}

static void
link_forget(struct link *link)
{
	while (link->kept_count > 0)
		buf_unref(link->kept[--link->kept_count].buf);
}

static void
link_finish(struct link *link)
{
	while (link->answered < link->sent || link->sends_xid < link->sends_count)
		CHECK(event_base_loop(base, EVLOOP_ONCE) >= 0);
}

// ---- Messages that come ----

static void
begin(struct draft *draft, const uint8_t *record)
{
	static const enum opcode opcodes[] = {OP_OK_REPLY, OP_FLUSH, OP_PUSH, OP_RECOVER, OP_PUT, OP_ERR_REPLY, OP_GET, OP_INVALIDATE};

	*draft = (struct draft){.link = &links[record[1] % LINKS], .volume = record[4] % (VOLUMES + 1)};
	draft->message = (struct message){
		.opcode = opcodes[record[2] % (sizeof(opcodes) / sizeof(*opcodes))],
		.present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT),
		.volume_id = (uint32_t)draft->volume,
		.block = record[3] % BLOCKS,
	};
}

// The bytes of an item: those of the block they are said to be (0), or others.
static void
give_bytes(struct item *item, const struct truth *truth, const uint8_t *record)
{
	const struct truth *other = &truths[record[3] / 128][record[3] / 64 % WRITES][record[3] % BLOCKS];

	item->kind = truth->zeros ? ITEM_ZERO : ITEM_DATA;
	if (record[2] % 8 == 1 || record[2] % 8 == 2)
		item->kind = record[2] % 8 == 1 ? ITEM_ZERO : ITEM_DATA;
	if (record[2] % 8 == 3)
		item->kind = ITEM_EMPTY;
	if (item->kind != ITEM_DATA)
		return;
	item->buf = buf_alloc(record[2] % 8 == 4 ? half_pool : pool);
	memset(buf_bytes(item->buf), 0, buf_size(item->buf));
	memcpy(buf_bytes(item->buf), record[2] % 8 == 2 ? other->cipher : truth->cipher, BLOCK_SIZE);
	if (record[2] % 8 == 5)
		buf_bytes(item->buf)[record[3] * 2] ^= (uint8_t)(1 << record[4] % 8);
	item->bytes = buf_bytes(item->buf);
}

static void
give_verifier(struct item *item, uint8_t bytes[LIMIT_VERIFIER_SIZE], const struct truth *truth, const uint8_t *record)
{
	const struct truth *other = &truths[record[5] / 128][record[5] / 64 % WRITES][record[5] % BLOCKS];
	const struct seal_verifier *from = record[4] / 8 % 8 == 1 ? &other->verifier : &truth->verifier;
	size_t size = from->size;

	memset(bytes, 0, LIMIT_VERIFIER_SIZE);
	memcpy(bytes, from->bytes, size);
	switch (record[4] / 8 % 8) {
	case 2:
		size = 0;
		break;
	case 3:
		size -= record[5] % size;
		break;
	case 4:
		size += record[5] % (LIMIT_VERIFIER_SIZE - size);
		break;
	case 5:
		bytes[(record[5] | record[6] << 8) % size] ^= (uint8_t)(1 << record[6] % 8);
		break;
	default:
		break;
	}
	if (item->kind != ITEM_EMPTY) // else the decoder refuses it
		item->verifier = (struct blob){bytes, size};
}

static void
add_item(struct draft *draft, const uint8_t *record)
{
	uint64_t block = draft->message.block + draft->message.count;
	struct item *item = &draft->items[draft->message.count];
	unsigned volume = draft->volume == UNKNOWN ? 0 : (unsigned)draft->volume;
	const struct truth *truth = &truths[volume][record[1] % WRITES][block % BLOCKS], *right;

	if (draft->link == NULL || draft->message.count == ITEMS_MAX)
		return;
	if (record[1] & 0x80)
		truth = &truths[record[1] / 64 % VOLUMES][record[1] % WRITES][record[1] / 2 % BLOCKS];
	give_bytes(item, truth, record);
	give_verifier(item, draft->verifiers[draft->message.count], truth, record);
	item->version = truth->place.version + (record[7] & 0x80 ? (version_t)0 - (record[7] & 0x7f) : record[7]);
	draft->message.count++;
	if (item->kind == ITEM_EMPTY)
		return;
	draft->has_content = true;
	right = draft->volume == UNKNOWN ? NULL
					 : truth_of(draft->volume, block, item->version, item->verifier.bytes, item->verifier.size);
	draft->wrong |= right == NULL || block == OLD_BLOCK || right->zeros != (item->kind == ITEM_ZERO) ||
			(item->kind == ITEM_DATA && (buf_size(item->buf) != BLOCK_SIZE ||
						     memcmp(item->bytes, right->cipher, BLOCK_SIZE) != 0));
}

static void
deliver(struct draft *draft)
{
	struct link *link = draft->link;
	struct message *message = &draft->message;
	struct sealing_volume volume;

	if (link == NULL)
		return;
	draft->wrong |= draft->has_content && message->opcode == OP_PUT;
	message->xid = ++link->sent;
	message->items = message->count > 0 ? draft->items : NULL;
	link->expected[message->xid] = !draft->has_content || draft->volume == UNKNOWN || !draft->wrong;
	volume = volume_of(link, draft->volume == UNKNOWN ? -1 : draft->volume);
	sealing_received(link->sealing, &volume, message);
	for (uint32_t i = 0; i < message->count; i++)
		buf_unref(draft->items[i].buf);
	memset(draft, 0xa5, sizeof(*draft)); // nobody needs it any more
	*draft = (struct draft){.link = NULL};
}

// ---- Messages that go ----

static void
send_one(struct link *link, int volume, uint64_t block, version_t version, struct buf *buf, bool is_new)
{
	struct item item = {.kind = buf == buf_zero() ? ITEM_ZERO : ITEM_DATA, .version = version, .buf = buf, .bytes = buf_bytes(buf)};
	struct message message = {
		.opcode = OP_FLUSH,
		.present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM),
		.flags = is_new ? FLAG_FORCE_SYNC : 0,
		.volume_id = (uint32_t)volume,
		.block = block,
		.count = 1,
		.items = &item,
		.xid = ++link->sends_count,
	};
	struct sealing_volume sealed = volume_of(link, volume);

	sealing_send(link->sealing, &sealed, &message);
}

static void
send_kept(struct link *link, const uint8_t *record)
{
	const struct kept *kept = &link->kept[record[2] % (link->kept_count > 0 ? link->kept_count : 1)];

	if (link->kept_count > 0)
		send_one(link, kept->volume, kept->block, kept->version + record[3] % 2, kept->buf, false);
}

static void
send_new(struct link *link, const uint8_t *record)
{
	struct buf *buf = buf_alloc(pool);

	for (unsigned i = 0; i < BLOCK_SIZE; i++)
		buf_bytes(buf)[i] = (uint8_t)(link->sends_count + 1 + i);
	send_one(link, record[2] % VOLUMES, record[3], version_make(2, record[4]), buf, true);
	buf_unref(buf);
}

// ---- Scripts ----

static void
perform(struct draft *draft, const uint8_t *record)
{
	struct link *link = &links[record[1] % LINKS];

	switch (record[0] % 8) {
	case 0: // the next message: link, opcode, block, volume
		deliver(draft);
		begin(draft, record);
		break;
	case 1: // its next block: of which write, bytes, verifier, version
	case 2:
	case 3:
		add_item(draft, record);
		break;
	case 4: // let the loop go on
		deliver(draft);
		CHECK(event_base_loop(base, EVLOOP_NONBLOCK) >= 0);
		break;
	case 5: // a link is another
		deliver(draft);
		sealing_close(link->sealing);
		link_open(link);
		break;
	case 6:
		deliver(draft);
		send_kept(link, record);
		break;
	default:
		deliver(draft);
		send_new(link, record);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct draft draft;

	if (base == NULL)
		start();
	for (unsigned i = 0; i < LINKS; i++)
		link_open(&links[i]);
	draft = (struct draft){.link = NULL};
	for (size_t i = 0; i < size / RECORD && i < RECORDS_MAX; i++)
		perform(&draft, bytes + i * RECORD);
	deliver(&draft);
	for (unsigned i = 0; i < LINKS; i++) {
		link_finish(&links[i]);
		sealing_close(links[i].sealing);
		link_forget(&links[i]);
	}
	while (buf_pool_used(pool) > 0 || buf_pool_used(half_pool) > 0) // what closed links have left
		CHECK(event_base_loop(base, EVLOOP_ONCE) == 0);
	return 0;
}

// ---- For the mutator ----

const size_t fuzz_element_align = RECORD;

// A message, or the next block of one: most of it right.
size_t
fuzz_element(uint64_t *seed, uint8_t *bytes, size_t room)
{
	uint8_t record[RECORD] = {(uint8_t)mutate_below(seed, 8), (uint8_t)mutate_below(seed, 8)};

	for (unsigned i = 2; i < RECORD; i++)
		record[i] = mutate_below(seed, 4) == 0 ? (uint8_t)mutate_below(seed, 256) : 0;
	if (room < RECORD)
		return 0;
	memcpy(bytes, record, RECORD);
	return RECORD;
}
