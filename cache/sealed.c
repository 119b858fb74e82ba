// SPDX-License-Identifier: MIT
// Bytes of a block and proofs have different sizes: so the digest of one is never taken for that of the other.
#include "cache/sealed.h"

#include "cache/little_endian.h"
#include "core/check.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static_assert((int)LIMIT_VERIFIER_SIZE < (int)LIMIT_BLOCK_SIZE_MIN, "no proof has the size of a block");

void
sealed_tail_write(const struct sealed_block *block, uint8_t *tail)
{
	memset(tail, 0, SEALED_TAIL_SIZE);
	put16(tail, block->proof_size);
	memcpy(tail + 2, block->proof, block->proof_size);
}

bool
sealed_tail_read(const uint8_t *tail, struct sealed_block *ret)
{
	uint16_t size = get16(tail);

	if (size == 0 || size > LIMIT_VERIFIER_SIZE)
		return false;
	ret->proof_size = size;
	memcpy(ret->proof, tail + 2, size);
	return true;
}

void
sealed_take_proof(struct sealed_block *block, const struct buf *buf)
{
	const struct proof *proof = buf_proof(buf);

	if (proof == NULL)
		return;
	CHECK(proof->size > 0 && proof->size <= LIMIT_VERIFIER_SIZE);
	block->proof_size = proof->size;
	memcpy(block->proof, proof->bytes, proof->size);
}

void
sealed_give_proof(const struct sealed_block *block, struct buf *buf)
{
	if (block->proof_size > 0 && buf != buf_zero() && buf_proof(buf) == NULL)
		buf_set_proof(buf, block->proof, block->proof_size);
}

void
sealed_proof_digest(const uint8_t *proof, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	CHECK(crypto_generichash(ret, BLOCK_DIGEST_SIZE, proof, size, NULL, 0) == 0);
}

void
sealed_digest(struct buf *buf, size_t size, uint8_t ret[BLOCK_DIGEST_SIZE])
{
	const struct proof *proof = buf_proof(buf);

	if (proof != NULL)
		sealed_proof_digest(proof->bytes, proof->size, ret);
	else
		CHECK(crypto_generichash(ret, BLOCK_DIGEST_SIZE, buf_bytes(buf), size, NULL, 0) == 0);
}
