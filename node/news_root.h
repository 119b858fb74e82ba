// SPDX-License-Identifier: MIT
// How a root answers what readers ask (crypto/news.h). What is in memory is looked up on the loop, at the moment for which the
// answer counts; what is in its file, on the worker, where the answer is signed.
#ifndef HVFS_NODE_NEWS_ROOT_H
#define HVFS_NODE_NEWS_ROOT_H

#include "node/news_log.h"
#include "node/sealed_root.h"

// An answer that is being made.
struct news_work {
	const struct volume_key *key;
	const struct sealed_root *root; // NULL: nothing is written there
	const uint8_t *bytes;           // of the question
	size_t bytes_size;
	struct news_question question;
	struct news_answer answer;
	bool is_found[NEWS_ASKED_BLOCKS_MAX]; // in memory: of each block that is asked for
	bool is_made;
	size_t size;
	uint8_t made[NEWS_ANSWER_SIZE_MAX];
};

// On the loop: begin with the answer to ${bytes}, which stay until it is made. NULL: they are no question.
struct news_work *news_root_begin(const struct volume_key *key, const struct sealed_root *root, struct news_log *log,
				  uint32_t lease_ms, const uint8_t *bytes, size_t size);

// On any thread: make it.
void news_root_make(struct news_work *work);

#endif
