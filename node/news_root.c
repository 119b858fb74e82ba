// SPDX-License-Identifier: MIT
#include "node/news_root.h"

#include "core/check.h"

#include <stdlib.h>

// Of block ${i} of a run that is asked for there is ${sealed}.
static void
tell_older(struct news_answer *answer, const struct news_run *run, uint32_t i, version_t sealed)
{
	struct news_run *last = answer->older_count > 0 ? &answer->older[answer->older_count - 1] : NULL;

	if (sealed <= run->version)
		return;
	if (last != NULL && last->block + last->count == run->block + i && last->version == sealed)
		last->count++;
	else
		answer->older[answer->older_count++] = (struct news_run){.block = run->block + i, .count = 1, .version = sealed};
}

static void
look_in_memory(struct news_work *work)
{
	static const struct sealed_entry nothing;
	bool *is_found = work->is_found;

	for (uint32_t i = 0; i < work->question.count; i++) {
		const struct news_run *run = &work->question.asked[i];

		for (uint32_t j = 0; j < run->count; j++) {
			version_t sealed = sealed_root_find(work->root, run->block + j, &nothing).sealed;

			*is_found++ = sealed != 0;
			tell_older(&work->answer, run, j, sealed);
		}
	}
}

struct news_work *
news_root_begin(const struct volume_key *key, const struct sealed_root *root, struct news_log *log, uint32_t lease_ms,
		const uint8_t *bytes, size_t size)
{
	struct news_work *work = calloc(1, sizeof(*work));

	CHECK(work != NULL);
	if (volume_key_role(key) < VOLUME_ROLE_WRITER || !news_question_open(bytes, size, &work->question)) {
		free(work);
		return NULL;
	}
	work->key = key;
	work->root = root;
	work->bytes = bytes;
	work->bytes_size = size;
	work->answer.lease_ms = lease_ms;
	news_log_tell(log, &work->question, &work->answer);
	if (root != NULL)
		look_in_memory(work);
	return work;
}

// False: the file can not be read.
static bool
look_in_file(struct news_work *work)
{
	const bool *is_found = work->is_found;
	struct sealed_entry filed[NEWS_ASKED_BLOCKS_MAX];

	for (uint32_t i = 0; i < work->question.count; i++) {
		const struct news_run *run = &work->question.asked[i];

		if (sealed_root_read(work->root, run->block, run->count, filed) != 0)
			return false;
		for (uint32_t j = 0; j < run->count; j++)
			if (!*is_found++)
				tell_older(&work->answer, run, j, filed[j].sealed);
	}
	return true;
}

void
news_root_make(struct news_work *work)
{
	if (work->root != NULL && !look_in_file(work))
		return;
	work->size = news_answer(work->key, work->bytes, work->bytes_size, &work->answer, work->made);
	work->is_made = true;
}
