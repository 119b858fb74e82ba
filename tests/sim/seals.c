// SPDX-License-Identifier: MIT
#include "tests/sim/seals.h"

#include "core/check.h"
#include "crypto/seal.h"
#include "node/sealing_rules.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum { NONCE_AT = SEAL_HEAD_SIZE, DATA_SIZE = SEAL_HEAD_SIZE + SEAL_NONCE_SIZE + SEAL_TAG_SIZE };

// A content of a block, and the first version as which it was sealed.
struct made {
	uint64_t place;
	version_t first;
};

struct seals {
	uint64_t secret;
	struct made *made; // hashed, open addressing
	size_t made_count, made_size;
	uint64_t *again; // places of blocks
	size_t again_count;
	uint64_t refused[SEALS_REFUSAL_COUNT];
};

const char *
seals_refusal_text(enum seals_refusal refusal)
{
	static const char *const texts[SEALS_REFUSAL_COUNT] = {
#define X(name, text) text,
		SEALS_REFUSALS(X)
#undef X
	};

	return texts[refusal];
}

void
seals_begin(struct world *world)
{
	world->seals = calloc(1, sizeof *world->seals);
	CHECK(world->seals != NULL);
	world->seals->secret = rng_next(&world->rng);
}

void
seals_destroy(struct seals *seals)
{
	if (seals == NULL)
		return;
	free(seals->made);
	free(seals->again);
	free(seals);
}

// ---- Hashes ----

static uint64_t
mix(uint64_t hash, uint64_t number)
{
	struct rng rng = {hash ^ number};

	return rng_next(&rng) + number;
}

static uint64_t
hash_bytes(const uint8_t *bytes, size_t size)
{
	uint64_t hash = size, word;

	for (size_t i = 0; bytes != NULL && i < size; i += sizeof word) {
		memcpy(&word, bytes + i, sizeof word);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return hash;
}

static uint64_t
hash_place(const char *volume, uint64_t block)
{
	uint64_t hash = block;

	for (; *volume != '\0'; volume++)
		hash = mix(hash, (uint64_t)*volume);
	return hash;
}

static const char *
volume_name(const struct node *node, uint32_t volume)
{
	return node->volumes[volume].name; // all are configured, in their order
}

// ---- Verifiers ----

static void
put_be(uint8_t *to, uint64_t number, size_t size)
{
	for (size_t i = size; i > 0; i--, number >>= 8)
		to[i - 1] = (uint8_t)number;
}

static void
put_stream(uint8_t *to, uint64_t seed, size_t size)
{
	struct rng rng = {seed};

	for (size_t i = 0; i < size; i += sizeof(uint64_t))
		put_be(to + i, rng_next(&rng), sizeof(uint64_t));
}

// The verifier of ${bytes} (NULL: zeros) as ${sealed}. Returns its size.
static size_t
verifier_make(const struct seals *seals, uint64_t place, version_t sealed, uint32_t block_size, const uint8_t *bytes, uint64_t nonce,
	      uint8_t ret[DATA_SIZE])
{
	uint64_t hash = hash_bytes(bytes, block_size);

	ret[0] = bytes != NULL ? 1 : 2;
	put_be(ret + 1, 1, 4); // generation
	put_be(ret + 5, sealed, 8);
	put_be(ret + 13, 0, 2); // leaf
	put_be(ret + 15, 1, 2); // leaves
	put_stream(ret + 17, mix(mix(mix(seals->secret, place), sealed), hash ^ (bytes != NULL ? nonce : 0)), SEAL_SIGNATURE_SIZE);
	if (bytes == NULL)
		return SEAL_HEAD_SIZE;
	put_be(ret + NONCE_AT, nonce, 8);
	put_stream(ret + NONCE_AT + 8, nonce, SEAL_NONCE_SIZE - 8);
	put_stream(ret + NONCE_AT + SEAL_NONCE_SIZE, mix(hash, nonce), SEAL_TAG_SIZE);
	return DATA_SIZE;
}

static uint64_t
verifier_nonce(const uint8_t *verifier, size_t size)
{
	uint64_t nonce = 0;

	for (size_t i = 0; size >= NONCE_AT + 8 && i < 8; i++)
		nonce = nonce << 8 | verifier[NONCE_AT + i];
	return nonce;
}

static bool
verifier_is_right(const struct seals *seals, uint64_t place, version_t version, uint32_t block_size, const uint8_t *bytes,
		  const uint8_t *verifier, size_t size)
{
	version_t sealed = seal_version(verifier, size);
	uint8_t right[DATA_SIZE];

	return (version == 0 || sealed <= version) &&
	       verifier_make(seals, place, sealed, block_size, bytes, verifier_nonce(verifier, size), right) == size &&
	       memcmp(verifier, right, size) == 0;
}

static struct made *
made_find(const struct seals *seals, uint64_t place)
{
	size_t i = place & (seals->made_size - 1);

	while (seals->made[i].place != 0 && seals->made[i].place != place)
		i = (i + 1) & (seals->made_size - 1);
	return &seals->made[i];
}

static void
made_grow(struct seals *seals)
{
	struct seals old = *seals;

	seals->made_size = old.made_size ? old.made_size * 2 : 1024;
	seals->made = calloc(seals->made_size, sizeof *seals->made);
	CHECK(seals->made != NULL);
	for (size_t i = 0; i < old.made_size; i++)
		if (old.made[i].place != 0)
			*made_find(seals, old.made[i].place) = old.made[i];
	free(old.made);
}

bool
seals_came_again(const struct world *world, const char *volume, uint64_t block)
{
	uint64_t place = hash_place(volume, block);

	for (size_t i = 0; i < world->seals->again_count; i++)
		if (world->seals->again[i] == place)
			return true;
	return false;
}

static void
note_again(struct seals *seals, uint64_t place)
{
	seals->again = realloc(seals->again, (seals->again_count + 1) * sizeof *seals->again);
	CHECK(seals->again != NULL);
	seals->again[seals->again_count++] = place;
}

static void
note_made(struct seals *seals, uint64_t place, version_t sealed, uint64_t bytes, bool is_root)
{
	struct made *made;

	if (seals->made_count * 2 >= seals->made_size)
		made_grow(seals);
	made = made_find(seals, mix(place, bytes) | 1);
	if (made->place == 0) {
		*made = (struct made){mix(place, bytes) | 1, sealed};
		seals->made_count++;
	} else if (made->first < sealed && !is_root) {
		note_again(seals, place);
	}
}

static bool
is_zero(const uint8_t *bytes, size_t size)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

// One content has one proof; zeros are sealed as such.
static struct proof *
proof_make(const struct node *node, uint64_t place, version_t sealed, const uint8_t *bytes)
{
	struct seals *seals = node->world->seals;
	uint32_t block_size = node->world->block_size;
	struct proof *proof = malloc(sizeof *proof + DATA_SIZE);
	uint64_t hash;

	if (bytes != NULL && is_zero(bytes, block_size))
		bytes = NULL;
	hash = hash_bytes(bytes, block_size);
	CHECK(proof != NULL);
	proof->size = (uint16_t)verifier_make(seals, place, sealed, block_size, bytes, mix(mix(mix(seals->secret, place), sealed), hash),
					      proof->bytes);
	note_made(seals, place, sealed, hash, node->parent == WORLD_NO_NODE);
	return proof;
}

static const uint8_t key_id[SEALED_KEY_ID_SIZE] = "of the world";

void
seals_volume(struct node *node, uint32_t volume)
{
	core_set_volume_key(node->core, volume, key_id);
}

// ---- On a medium ----

struct form {
	struct sealed_form base;
	struct node *node;
	uint32_t volume;
};

static bool
form_seal(void *self, struct sealed_block *blocks, size_t count)
{
	const struct form *form = self;

	for (struct sealed_block *block = blocks; block < blocks + count; block++) {
		struct proof *made;

		if (block->sealed != NULL)
			memcpy(block->sealed, block->bytes, block->size);
		if (block->proof_size != 0)
			continue;
		if (form->node->seal_role < VOLUME_ROLE_WRITER)
			return false;
		made = proof_make(form->node, hash_place(volume_name(form->node, form->volume), block->block), block->version, block->bytes);
		block->proof_size = made->size;
		memcpy(block->proof, made->bytes, made->size);
		free(made);
	}
	return true;
}

static bool
form_open(void *self, struct sealed_block *block)
{
	const struct form *form = self;
	const uint8_t *bytes = seal_is_of_zeros(block->proof, block->proof_size) ? NULL : block->sealed;

	if (!verifier_is_right(form->node->world->seals, hash_place(volume_name(form->node, form->volume), block->block), block->version,
			       block->size, bytes, block->proof, block->proof_size))
		return false;
	if (block->bytes != NULL && block->sealed != NULL)
		memcpy(block->bytes, block->sealed, block->size);
	else if (block->bytes != NULL)
		memset(block->bytes, 0, block->size);
	return true;
}

struct sealed_form *
seals_form_create(struct node *node, uint32_t volume)
{
	static const struct sealed_ops ops = {.seal = form_seal, .open = form_open};
	struct form *form = malloc(sizeof *form);

	CHECK(form != NULL);
	*form = (struct form){
		.base = {.is_plain = true, .makes_proofs = node->seal_role >= VOLUME_ROLE_WRITER, .ops = &ops, .self = form},
		.node = node,
		.volume = volume,
	};
	memcpy(form->base.id, key_id, sizeof key_id);
	return &form->base;
}

void
seals_form_destroy(struct sealed_form *form)
{
	if (form != NULL)
		free(form->self);
}

// ---- What goes ----

// Returns the proof that was made for it, or NULL. *ret_failed: there is none, and none can be made.
static struct proof *
item_seal(struct node *node, uint64_t place, struct item *item, bool *ret_failed)
{
	uint32_t block_size = node->world->block_size;
	bool is_root = node->parent == WORLD_NO_NODE;
	const struct proof *before = item->kind == ITEM_EMPTY ? NULL : sealing_proof_to_send(item, is_root);
	const uint8_t *bytes = item->kind == ITEM_DATA ? buf_bytes(item->buf) : NULL;
	struct proof *made;

	if (before != NULL) {
		// A proof stays with the bytes it is of.
		CHECK(node->world->broken == BREAK_SEALS ||
		      verifier_is_right(node->world->seals, place, 0, block_size,
					seal_is_of_zeros(before->bytes, before->size) ? NULL : bytes, before->bytes, before->size));
		sealing_give(item, (struct blob){before->bytes, before->size}, NULL);
	}
	if (item->kind == ITEM_EMPTY || before != NULL)
		return NULL;
	if (node->seal_role < VOLUME_ROLE_WRITER) {
		*ret_failed = true;
		return NULL;
	}
	made = proof_make(node, place, item->version, bytes);
	sealing_give(item, (struct blob){made->bytes, made->size}, NULL);
	return made;
}

static void
send(struct node *node, uint32_t link, const struct message *message)
{
	const struct conn *conn = node->links[link];
	int volume = core_message_volume(node->core, link, message);

	if (volume >= 0 && conn != NULL && conn->node[PIPE_UP] == node->index && conn->link[PIPE_UP] == link)
		proofs_sent(node, (uint32_t)volume, message);
	pipe_send(node, link, message);
}

static void
items_seal(struct node *node, uint32_t link, uint32_t volume, const struct message *message)
{
	static struct item items[LIMIT_RUN_BLOCKS];
	static struct proof *made[LIMIT_RUN_BLOCKS];
	struct message sealed = *message;
	bool failed = false;

	sealed.items = items;
	for (uint32_t i = 0; i < message->count; i++) {
		items[i] = message->items[i];
		made[i] = item_seal(node, hash_place(volume_name(node, volume), message->block + i), &items[i], &failed);
	}
	if (failed)
		pipe_close_link(node, link, "what it is to have can not be proven");
	else
		send(node, link, &sealed);
	for (uint32_t i = 0; i < message->count; i++) {
		struct buf *buf = message->items[i].kind == ITEM_DATA ? message->items[i].buf : NULL;

		if (made[i] != NULL && buf != NULL && buf != buf_zero() && buf_proof(buf) == NULL)
			buf_set_proof(buf, made[i]->bytes, made[i]->size);
		free(made[i]);
	}
}

void
seals_send(struct node *node, uint32_t link, uint32_t volume, const struct message *message)
{
	if (sealing_has_content(message))
		items_seal(node, link, volume, message);
	else
		send(node, link, message);
}

// ---- What comes ----

uint64_t
seals_refused(const struct world *world, enum seals_refusal refusal)
{
	return world->seals != NULL ? world->seals->refused[refusal] : 0;
}

// SEALS_OLD, SEALS_TIED, or SEALS_REFUSAL_COUNT: it is not.
static enum seals_refusal
is_old(struct node *node, uint32_t volume, uint64_t block, const struct item *item)
{
	const struct disk *disk = node->disks[volume];
	bool is_known = disk != NULL && disk->sealed != NULL && block < disk->block_count;
	struct sealed_entry known = is_known ? disk->sealed[block] : (struct sealed_entry){0};
	struct sealed_entry coming = sealing_entry(item->version, item->verifier.bytes, item->verifier.size);
	struct block_info info;
	bool on_storage;

	if (is_known && disk->sealed_filed[block].protocol > coming.protocol &&
	    !core_learn_stored(node->core, volume, block, disk->sealed_filed[block].protocol))
		return SEALS_OLD;
	on_storage = node->world->broken != BREAK_TIES && core_storage_has(node->core, volume, block, item->version);
	if (node->world->broken == BREAK_TIES)
		memset(coming.digest, 0, sizeof coming.digest); // that is not known
	core_block_info(node->core, volume, block, world_clock(node), &info);
	if (!sealing_is_old(&coming, disk != NULL ? &known : NULL, on_storage, info.copy != NULL ? buf_proof(info.copy) : NULL, info.version))
		return SEALS_REFUSAL_COUNT;
	memset(coming.digest, 0, sizeof coming.digest);
	return sealing_is_old(&coming, disk != NULL ? &known : NULL, false, info.copy != NULL ? buf_proof(info.copy) : NULL, info.version)
		       ? SEALS_OLD
		       : SEALS_TIED;
}

// Why ${message} is refused; SEALS_REFUSAL_COUNT: it is not.
static enum seals_refusal
message_check(struct node *node, uint32_t volume, const struct message *message, uint64_t *ret_block)
{
	const struct seals *seals = node->world->seals;
	uint32_t block_size = node->world->block_size;
	enum seals_refusal old = SEALS_REFUSAL_COUNT;

	if (node->world->broken == BREAK_SEALS && sealing_refuses(message, block_size) == NULL)
		return SEALS_REFUSAL_COUNT;
	if (sealing_refuses(message, block_size) != NULL)
		return SEALS_OTHER;
	for (uint32_t i = 0; i < message->count; i++) {
		const struct item *item = &message->items[i];
		uint64_t block = message->block + i;

		if (old == SEALS_REFUSAL_COUNT)
			*ret_block = block;
		if (item->kind == ITEM_EMPTY)
			continue;
		if (item->verifier.size == 0)
			return SEALS_ABSENT;
		if (item->version == 0 && seal_version(item->verifier.bytes, item->verifier.size) != 0)
			return SEALS_FORGED;
		if (!verifier_is_right(seals, hash_place(volume_name(node, volume), block), item->version, block_size,
				       item->kind == ITEM_DATA ? buf_bytes(item->buf) : NULL, item->verifier.bytes,
				       item->verifier.size))
			return SEALS_FORGED;
		if (node->world->broken != BREAK_AGE && is_old(node, volume, block, item) != SEALS_REFUSAL_COUNT)
			old = is_old(node, volume, block, item);
	}
	return old;
}

static void
items_take(struct node *node, struct message *message)
{
	uint32_t block_size = node->world->block_size;
	bool forgets_zeros = sealing_forgets_zeros(node->seal_role, node->parent == WORLD_NO_NODE);

	for (uint32_t i = 0; i < message->count; i++) {
		struct item *item = &message->items[i];
		struct blob verifier = item->verifier;

		if (sealing_take(item, forgets_zeros, core_pool(node->core, block_size), block_size) && verifier.size != 0)
			buf_set_proof(item->buf, verifier.bytes, verifier.size);
	}
	message->data_size = block_size;
}

static bool
refuse(struct conn *conn, unsigned end, struct message *message, enum seals_refusal why, uint64_t block)
{
	struct sealing_fault fault = {seals_refusal_text(why), block, why == SEALS_OLD || why == SEALS_TIED};
	static uint8_t value[8];
	struct node *node = conn->world->nodes[conn->node[end]];
	struct message refusal;

	conn->world->seals->refused[why]++;
	trace_add(&conn->world->trace, TRACE_WORLD, conn->world->now, "%s refuses what has come: %s", node->name,
		  seals_refusal_text(why));
	switch (sealing_refuse(message, &fault, end == PIPE_DOWN, value, &refusal)) {
	case SEALING_CLOSE:
		pipe_close(conn, end);
		return false;
	case SEALING_SEND:
		pipe_send(node, conn->link[end], &refusal);
		return false;
	case SEALING_TAKE:
		break;
	}
	for (uint32_t i = 0; i < message->count; i++)
		if (message->items[i].kind == ITEM_DATA)
			buf_unref(message->items[i].buf);
	*message = refusal;
	return true;
}

// To a root that was started anew somebody may bring old content as if it was newer than what others bring (docs/security.md).
static void
note_brought(struct conn *conn, unsigned end, int volume, const struct message *message)
{
	const struct world *world = conn->world;
	const struct node *node = world->nodes[conn->node[end]];

	if (message->opcode != OP_RECOVER || !world->nodes[conn->node[!end]]->distrusted || !core_in_grace(node->core))
		return;
	for (uint32_t i = 0; i < message->count; i++) {
		const struct item *item = &message->items[i];

		if (item->kind != ITEM_EMPTY && seal_version(item->verifier.bytes, item->verifier.size) < item->version)
			note_again(world->seals, hash_place(volume_name(node, (uint32_t)volume), message->block + i));
	}
}

bool
seals_receive(struct conn *conn, unsigned end, struct message *message)
{
	struct node *node = conn->world->nodes[conn->node[end]];
	int volume = core_message_volume(node->core, conn->link[end], message);
	enum seals_refusal why;
	uint64_t block = message->block;

	if (end == PIPE_UP)
		proofs_heard(node, message);
	if (volume < 0 || !sealing_has_content(message))
		return true;
	why = message_check(node, (uint32_t)volume, message, &block);
	if (why != SEALS_REFUSAL_COUNT)
		return refuse(conn, end, message, why, block);
	note_brought(conn, end, volume, message);
	items_take(node, message);
	return true;
}

void
seals_malformed(struct conn *conn, unsigned end, const struct message *header, enum status status, bool fatal)
{
	struct message reply = {
		.opcode = OP_ERR_REPLY,
		.hops_left = LIMIT_HOPS,
		.xid = header->xid,
		.present = PRESENT(STATUS),
		.status = status,
	};

	conn->world->seals->refused[SEALS_MALFORMED]++;
	if (fatal)
		pipe_close(conn, end);
	else if (header->opcode != OP_OK_REPLY && header->opcode != OP_ERR_REPLY)
		pipe_send(conn->world->nodes[conn->node[end]], conn->link[end], &reply);
}

// ---- At the root ----

// What was written here is sealed first (node/own_seals.c).
void
seals_stored(struct node *node, uint32_t volume, uint64_t block, version_t version, struct buf *buf)
{
	struct disk *disk = node->disks[volume];
	struct proof *made;

	if (disk->sealed == NULL) {
		disk->sealed = calloc(disk->block_count, sizeof *disk->sealed);
		disk->sealed_filed = calloc(disk->block_count, sizeof *disk->sealed_filed);
		CHECK(disk->sealed != NULL && disk->sealed_filed != NULL);
	}
	if (buf != buf_zero() && buf_proof(buf) == NULL) {
		made = proof_make(node, hash_place(volume_name(node, volume), block), version, buf_bytes(buf));
		buf_set_proof(buf, made->bytes, made->size);
		free(made);
	}
	disk->sealed[block] = sealing_stored(version, buf);
}

// As note_stored does (node/volumes.c), of a plain storage.
void
seals_found(struct node *node, uint32_t volume, const struct stored_version *stored)
{
	struct disk *disk = node->disks[volume];
	struct sealed_entry entry = {.sealed = stored->low, .protocol = stored->low};
	struct proof *made;

	if (disk->sealed == NULL || stored->low <= disk->sealed[stored->block].protocol)
		return;
	if (stored->low == stored->high) {
		made = proof_make(node, hash_place(volume_name(node, volume), stored->block), stored->low, disk_read(disk, stored->block));
		entry = sealing_entry(stored->low, made->bytes, made->size);
		free(made);
	}
	disk->sealed[stored->block] = disk->sealed_filed[stored->block] = entry;
}
