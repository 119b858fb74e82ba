// SPDX-License-Identifier: MIT
#include "crypto/news.h"

#include "core/check.h"
#include "crypto/big_endian.h"
#include "crypto/statement.h"

enum { KIND_QUESTION = 3, KIND_ANSWER = 4 }; // 1 and 2 are cookies

static const char domain[STATEMENT_DOMAIN_SIZE] = "hvfs/1 news";

// ---- Parts ----

static uint8_t *
put(uint8_t *at, size_t size, uint64_t number)
{
	big_endian_put(at, size, number);
	return at + size;
}

static uint64_t
get(const uint8_t **at, size_t size)
{
	uint64_t number = big_endian_get(*at, size);

	*at += size;
	return number;
}

static uint8_t *
put_runs(uint8_t *at, const struct news_run *runs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		CHECK(runs[i].count > 0 && runs[i].count <= NEWS_RUN_BLOCKS_MAX);
		at = put(at, 6, runs[i].block);
		at = put(at, 2, runs[i].count);
		at = put(at, 8, runs[i].version);
	}
	return at;
}

// False: one of them is none.
static bool
get_runs(const uint8_t **at, struct news_run *ret, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		ret[i].block = get(at, 6);
		ret[i].count = (uint32_t)get(at, 2);
		ret[i].version = get(at, 8);
		if (ret[i].count == 0)
			return false;
	}
	return true;
}

// ---- The question ----

size_t
news_ask(const struct news_question *question, uint8_t ret[NEWS_QUESTION_SIZE_MAX])
{
	uint8_t *at = ret;

	CHECK(question->count <= NEWS_ASKED_MAX);
	at = put(at, 1, KIND_QUESTION);
	randombytes_buf(at, NEWS_NONCE_SIZE);
	at = put(at + NEWS_NONCE_SIZE, 8, question->log);
	at = put(at, 8, question->place);
	at = put(at, 2, question->count);
	at = put_runs(at, question->asked, question->count);
	return (size_t)(at - ret);
}

bool
news_question_open(const uint8_t *bytes, size_t size, struct news_question *ret)
{
	const uint8_t *at = bytes + 1 + NEWS_NONCE_SIZE;
	uint32_t blocks = 0;

	if (size < NEWS_QUESTION_HEAD_SIZE || bytes[0] != KIND_QUESTION)
		return false;
	ret->log = get(&at, 8);
	ret->place = get(&at, 8);
	ret->count = (uint32_t)get(&at, 2);
	if (ret->count > NEWS_ASKED_MAX || size != NEWS_QUESTION_HEAD_SIZE + ret->count * (size_t)NEWS_RUN_SIZE ||
	    !get_runs(&at, ret->asked, ret->count))
		return false;
	for (uint32_t i = 0; i < ret->count; i++)
		blocks += ret->asked[i].count;
	return blocks <= NEWS_ASKED_BLOCKS_MAX;
}

// ---- The answer ----

static void
hash_both(const uint8_t *question, size_t question_size, const uint8_t *answer, size_t size, uint8_t ret[STATEMENT_HASH_SIZE])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, STATEMENT_HASH_SIZE);
	crypto_generichash_update(&state, question, question_size); // it says itself how long it is
	crypto_generichash_update(&state, answer, size);
	crypto_generichash_final(&state, ret, STATEMENT_HASH_SIZE);
}

size_t
news_answer(const struct volume_key *key, const uint8_t *question, size_t question_size, const struct news_answer *answer,
	    uint8_t ret[NEWS_ANSWER_SIZE_MAX])
{
	uint32_t generation = volume_key_newest(key);
	uint8_t hash[STATEMENT_HASH_SIZE], *at = ret;

	CHECK(answer->written_count <= NEWS_WRITTEN_MAX && answer->older_count <= NEWS_OLDER_MAX);
	at = put(at, 1, KIND_ANSWER);
	at = put(at, 4, generation);
	at = put(at, 8, answer->log);
	at = put(at, 8, answer->from);
	at = put(at, 8, answer->to);
	at = put(at, 8, answer->end);
	at = put(at, 4, answer->lease_ms);
	at = put(at, 2, answer->written_count);
	at = put(at, 2, answer->older_count);
	at = put_runs(at, answer->written, answer->written_count);
	at = put_runs(at, answer->older, answer->older_count);
	hash_both(question, question_size, ret, (size_t)(at - ret), hash);
	statement_sign(domain, key, generation, hash, at);
	return (size_t)(at - ret) + STATEMENT_SIGNATURE_SIZE;
}

bool
news_answer_open(const struct volume_key *key, const uint8_t *question, size_t question_size, const uint8_t *bytes, size_t size,
		 uint32_t *generation, struct news_answer *ret)
{
	const uint8_t *at = bytes + 1;
	uint8_t hash[STATEMENT_HASH_SIZE];
	uint32_t signer;

	if (size < NEWS_ANSWER_HEAD_SIZE + STATEMENT_SIGNATURE_SIZE || bytes[0] != KIND_ANSWER)
		return false;
	size -= STATEMENT_SIGNATURE_SIZE;
	signer = (uint32_t)get(&at, 4);
	hash_both(question, question_size, bytes, size, hash);
	if (signer < *generation || !statement_is_signed(domain, key, signer, hash, bytes + size))
		return false;
	ret->log = get(&at, 8);
	ret->from = get(&at, 8);
	ret->to = get(&at, 8);
	ret->end = get(&at, 8);
	ret->lease_ms = (uint32_t)get(&at, 4);
	ret->written_count = (uint32_t)get(&at, 2);
	ret->older_count = (uint32_t)get(&at, 2);
	if (ret->written_count > NEWS_WRITTEN_MAX || ret->older_count > NEWS_OLDER_MAX ||
	    size != NEWS_ANSWER_HEAD_SIZE + (ret->written_count + ret->older_count) * (size_t)NEWS_RUN_SIZE ||
	    !get_runs(&at, ret->written, ret->written_count) || !get_runs(&at, ret->older, ret->older_count))
		return false;
	*generation = signer;
	return true;
}
