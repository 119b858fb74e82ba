// SPDX-License-Identifier: MIT
#include "node/sealing_rules.h"

#include "core/zeros.h"

#include "crypto/seal.h"

#include <string.h>

bool
sealing_has_content(const struct message *message)
{
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
		if (message->items[i].kind != ITEM_EMPTY)
			return true;
	return false;
}

const char *
sealing_refuses(const struct message *message, uint32_t block_size)
{
	if (message->opcode == OP_PUT || (message->opcode == OP_RECOVER && message->perm == PERM_WRITE)) // FLUSH does not
		return "a PUT has none: its bytes take the place of any others, whenever they were sealed";
	for (uint32_t i = 0; i < message->count; i++)
		if (message->items[i].kind == ITEM_DATA && buf_size(message->items[i].buf) != block_size)
			return "the block has another size";
	return NULL;
}

// ---- What comes ----

bool
sealing_forgets_zeros(enum volume_role role, bool is_root)
{
	return role >= VOLUME_ROLE_WRITER && !is_root;
}

// Who can seal zeros again needs no memory for them. Nobody else gets some before they are known to be right: a few bytes stand
// for so many.
bool
sealing_take(struct item *item, bool forgets_zeros, struct buf_pool *pool, uint32_t block_size)
{
	item->verifier = (struct blob){0};
	if (item->kind == ITEM_ZERO && !forgets_zeros) {
		buf_unref(item->buf);
		item->buf = buf_alloc(pool);
		item->kind = ITEM_DATA;
		memset(buf_bytes(item->buf), 0, block_size);
	}
	if (item->kind != ITEM_DATA)
		return false;
	if (forgets_zeros && bytes_are_zero(buf_bytes(item->buf), block_size)) {
		buf_unref(item->buf);
		item->buf = buf_zero();
	}
	item->bytes = buf_bytes(item->buf);
	return item->buf != buf_zero();
}

static bool
is_another(const uint8_t *digest, const uint8_t *other)
{
	return memcmp(digest, other, SEAL_DIGEST_SIZE) != 0 && seal_digest_is_known(digest) && seal_digest_is_known(other);
}

// What has come later was sealed as a later version than any that the content before was told to have. Two contents never have
// the same version; who has only the number in memory takes bytes of that version for those. But who was lied to may make
// another one: what was at the root first stays. Elsewhere what comes from above is the one.
bool
sealing_is_old(const struct sealed_entry *coming, const struct sealed_entry *known, bool on_storage, const struct proof *proof,
	       version_t copy_version)
{
	struct sealed_entry newest = known != NULL ? *known : (struct sealed_entry){0};
	struct sealed_entry copy = proof != NULL ? sealing_entry(copy_version, proof->bytes, proof->size) : (struct sealed_entry){0};

	if (known != NULL && (on_storage || (coming->protocol == known->protocol && coming->protocol != 0)) &&
	    (coming->sealed != known->sealed || is_another(coming->digest, known->digest)))
		return true;
	if (copy.sealed > newest.sealed && copy.sealed != newest.protocol) // else that content was sealed once more (node/rest.h)
		newest = copy;
	if (coming->protocol < newest.protocol && coming->protocol != 0)
		return false;
	return coming->sealed < newest.sealed ||
	       (known != NULL && coming->sealed == newest.sealed && is_another(coming->digest, newest.digest));
}

struct sealed_entry
sealing_entry(version_t version, const uint8_t *verifier, size_t size)
{
	struct sealed_entry entry = {.sealed = seal_version(verifier, size), .protocol = version};

	seal_digest(verifier, size, entry.digest);
	return entry;
}

struct sealed_entry
sealing_stored(version_t version, const struct buf *buf)
{
	const struct proof *proof = buf_proof(buf);
	struct sealed_entry entry = {.sealed = version, .protocol = version};

	if (proof != NULL)
		return sealing_entry(version, proof->bytes, proof->size);
	if (buf == buf_zero())
		seal_digest_of_zeros(entry.digest);
	return entry;
}

// ---- What goes ----

// A root that was started anew may have had to give an old content the number after a newer one that is lost (R11). It is the
// one to say so: for who has seen that one, this would be a write of former times.
const struct proof *
sealing_proof_to_send(const struct item *item, bool is_root)
{
	const struct proof *proof = item->kind == ITEM_DATA ? buf_proof(item->buf) : NULL;

	if (proof != NULL && is_root && seal_version(proof->bytes, proof->size) != item->version)
		return NULL;
	return proof;
}

void
sealing_give(struct item *item, struct blob verifier, struct buf *cipher)
{
	item->verifier = verifier;
	if (seal_is_of_zeros(verifier.bytes, verifier.size))
		item->kind = ITEM_ZERO;
	else if (cipher != NULL)
		item->buf = cipher;
}

// ---- What is refused ----

// To bring it again would not help.
static void
tell_old(const struct sealing_fault *fault, uint8_t value[8], struct message *ret)
{
	for (unsigned i = 0; i < 8; i++)
		value[i] = (uint8_t)(fault->block >> (56 - 8 * i));
	ret->present |= PRESENT(ERR_PARAM) | PRESENT(ERR_VALUE);
	ret->err_param = PARAM_VERSION;
	ret->err_value = (struct blob){value, 8};
}

// A request is refused; an answer is as if the peer had refused ours; what nobody had asked for is given back.
enum sealing_refusal
sealing_refuse(const struct message *message, const struct sealing_fault *fault, bool from_child, uint8_t value[8],
	       struct message *ret)
{
	bool is_answer = message->opcode == OP_OK_REPLY || message->opcode == OP_ERR_REPLY;

	*ret = (struct message){
		.opcode = OP_ERR_REPLY,
		.hops_left = LIMIT_HOPS,
		.xid = message->xid,
		.present = PRESENT(STATUS) | (message->present & (PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT))),
		.volume_id = message->volume_id,
		.block = message->block,
		.count = message->count,
		.status = STATUS_BAD_VERIFIER,
	};
	if (message->opcode == OP_PUSH) {
		ret->opcode = OP_LOCK;
		ret->present = (ret->present & ~PRESENT(STATUS)) | PRESENT(PERMISSIONS) | (message->present & PRESENT(GRANT));
		ret->grant = message->grant;
	}
	if (!is_answer && message->opcode != OP_PUSH && fault->old)
		tell_old(fault, value, ret);
	if (!is_answer)
		return SEALING_SEND;
	return from_child ? SEALING_CLOSE : SEALING_TAKE;
}
