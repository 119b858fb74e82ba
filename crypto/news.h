// SPDX-License-Identifier: MIT
// What the root of a sealed volume says of the time that has passed: which blocks were written, and which of those that a reader
// was given are not the newest. A reader that gets its blocks from a machine of somebody else asks for it again and again
// (node/news.h): so that machine can not go on with what it was told to drop.
//
// The root keeps a list of what is written (node/news_log.h), whose entries are numbered: a place is such a number. A question
// has a number that is drawn at random, and the answer is signed together with the whole question: it is an answer to nothing
// else. Integers are big-endian; a run is a block in 6 bytes, how many blocks in 2, and a version in 8.
//
//	question  1 byte 3, nonce 16, log 8, place 8, number of runs 2, runs
//	answer    1 byte 4, generation 4, log 8, from 8, to 8, end 8, lease 4, runs written 2, runs older 2, runs, signature 64
#ifndef HVFS_CRYPTO_NEWS_H
#define HVFS_CRYPTO_NEWS_H

#include "core/limits.h"
#include "core/types.h"
#include "crypto/volume_key.h"

// Blocks that were sealed as the same version.
struct news_run {
	uint64_t block;
	uint32_t count; // 1 to NEWS_RUN_BLOCKS_MAX
	version_t version;
};

#define NEWS_NO_PLACE UINT64_MAX

enum {
	NEWS_NONCE_SIZE = 16,
	NEWS_RUN_SIZE = 16,
	NEWS_RUN_BLOCKS_MAX = 65535,
	NEWS_QUESTION_HEAD_SIZE = 1 + NEWS_NONCE_SIZE + 8 + 8 + 2,
	NEWS_ASKED_MAX = 250,         // runs of a question,
	NEWS_ASKED_BLOCKS_MAX = 1024, // and blocks of them all
	NEWS_QUESTION_SIZE_MAX = NEWS_QUESTION_HEAD_SIZE + NEWS_ASKED_MAX * NEWS_RUN_SIZE,
	NEWS_ANSWER_HEAD_SIZE = 1 + 4 + 8 + 8 + 8 + 8 + 4 + 2 + 2,
	NEWS_WRITTEN_MAX = 1000,                // runs
	NEWS_WRITTEN_BLOCKS_MAX = 256 << 10,    // and blocks
	NEWS_OLDER_MAX = NEWS_ASKED_BLOCKS_MAX, // runs
	NEWS_ANSWER_SIZE_MAX = NEWS_ANSWER_HEAD_SIZE + (NEWS_WRITTEN_MAX + NEWS_OLDER_MAX) * NEWS_RUN_SIZE + crypto_sign_BYTES,
};

static_assert(NEWS_QUESTION_SIZE_MAX <= (int)LIMIT_BLOB_SIZE, "a question passes as a cookie does");
static_assert(NEWS_ANSWER_SIZE_MAX <= (int)LIMIT_COOKIE_SIZE, "so does an answer");

struct news_question {
	uint64_t log, place; // what the root said last; 0, 0: nothing. NEWS_NO_PLACE: what was written is not asked
	uint32_t count;
	struct news_run asked[NEWS_ASKED_MAX]; // which of these blocks were sealed later than as that version?
};

struct news_answer {
	uint64_t log;  // another one after each start of the root
	uint64_t from; // what was written from this place on, the one that was asked; another: more than is remembered has been
	uint64_t to;   // to this one,
	uint64_t end;  // of so much
	uint32_t lease_ms; // that the root gives
	uint32_t written_count, older_count;
	struct news_run written[NEWS_WRITTEN_MAX];
	struct news_run older[NEWS_OLDER_MAX]; // of what was asked: as which version it is sealed
};

// ${question} as bytes, of which there are as many as are returned, with a new number.
size_t news_ask(const struct news_question *question, uint8_t ret[NEWS_QUESTION_SIZE_MAX]);

// Are these the bytes of a question? It is put into ${ret}.
bool news_question_open(const uint8_t *bytes, size_t size, struct news_question *ret);

// ${answer} to the ${question_size} bytes ${question}, with a writer's ${key}. Returns its size.
size_t news_answer(const struct volume_key *key, const uint8_t *question, size_t question_size, const struct news_answer *answer,
		   uint8_t ret[NEWS_ANSWER_SIZE_MAX]);

// Has somebody who may write, with a ${*generation} of keys that is not before that, said so to this question, which was made
// by news_ask? Any role can tell. False: what is in ${ret} is nothing.
bool news_answer_open(const struct volume_key *key, const uint8_t *question, size_t question_size, const uint8_t *bytes, size_t size,
		      uint32_t *generation, struct news_answer *ret);

#endif
