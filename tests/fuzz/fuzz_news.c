// SPDX-License-Identifier: MIT
// Arbitrary bytes as what a reader asks, and as what the root says to that. What must hold: a question is what its bytes say, and
// only the answers that were signed for a question are ones.
#include "tests/fuzz/mutate.h"

#include "core/check.h"
#include "crypto/news.h"
#include "node/news_root.h"
#include "tests/unit/seal_help.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct volume_key *owner, *reader;
static struct news_log *written;
static uint8_t question[NEWS_QUESTION_SIZE_MAX], answer[NEWS_ANSWER_SIZE_MAX];
static size_t question_size, answer_size;
static struct news_answer *opened;

static void
start(void)
{
	struct news_question asked = {.count = 3, .asked = {{7, 1, 10}, {1000, 900, 11}, {UINT64_C(1) << 47, 1, 0}}};
	struct news_work *work;

	owner = seal_help_key(1, VOLUME_ROLE_OWNER, 2);
	reader = seal_help_key(1, VOLUME_ROLE_READER, 2);
	seal_help_random(1);
	written = news_log_create(64);
	opened = calloc(1, sizeof(*opened));
	CHECK(opened != NULL);
	for (uint64_t i = 0; i < 100; i++)
		news_log_add(written, i * i, i + 1);
	question_size = news_ask(&asked, question);
	work = news_root_begin(owner, NULL, written, 1000, question, question_size);
	CHECK(work != NULL);
	news_root_make(work);
	CHECK(work->is_made);
	answer_size = work->size;
	memcpy(answer, work->made, answer_size);
	free(work);
}

// The root answers what is a question, and that is an answer to it and nothing else.
static void
ask(const uint8_t *bytes, size_t size)
{
	struct news_work *work = news_root_begin(owner, NULL, written, 1000, bytes, size);
	uint32_t generation = 0;

	if (work == NULL)
		return;
	news_root_make(work);
	CHECK(work->is_made && work->answer.from <= work->answer.to && work->answer.older_count == 0);
	CHECK(work->answer.to == NEWS_NO_PLACE || work->answer.to <= work->answer.end);
	CHECK(news_answer_open(reader, bytes, size, work->made, work->size, &generation, opened));
	CHECK(opened->from == work->answer.from && opened->written_count == work->answer.written_count);
	CHECK(news_answer_open(reader, question, question_size, work->made, work->size, &generation, opened) ==
	      (size == question_size && memcmp(bytes, question, size) == 0));
	free(work);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	uint8_t *copy = malloc(size > 0 ? size : 1); // memory that ends with it
	uint32_t generation = 0;
	bool is_right;

	if (owner == NULL)
		start();
	CHECK(copy != NULL);
	if (size > 0)
		memcpy(copy, bytes, size);
	is_right = size == answer_size && memcmp(copy, answer, size) == 0;
	CHECK(news_answer_open(reader, question, question_size, copy, size, &generation, opened) == is_right);
	ask(copy, size);
	free(copy);
	return 0;
}

// ---- For the mutator ----

const size_t fuzz_element_align = 1;

size_t
fuzz_element(uint64_t *seed, uint8_t *bytes, size_t room)
{
	bool asks = mutate_below(seed, 2) == 0;
	size_t size = asks ? question_size : answer_size;

	if (size > room)
		return 0;
	memcpy(bytes, asks ? question : answer, size);
	return size;
}
