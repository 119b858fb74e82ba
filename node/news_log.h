// SPDX-License-Identifier: MIT
// The root's list of what was written to a sealed volume, for those who ask (crypto/news.h): the newest entries, in memory. It
// begins with the root, under a number that is drawn at random: who has asked another list learns that by it.
#ifndef HVFS_NODE_NEWS_LOG_H
#define HVFS_NODE_NEWS_LOG_H

#include "crypto/news.h"

enum { NEWS_LOG_RUNS = 256 << 10 }; // that a root remembers of a volume

struct news_log;

// Of so many runs. Never NULL.
struct news_log *news_log_create(uint32_t capacity);

// NULL does nothing.
void news_log_destroy(struct news_log *log);

// ${block} is being written, sealed as ${version}.
void news_log_add(struct news_log *log, uint64_t block, version_t version);

// What was written since the place of ${question}, as much as an answer has room for: into ${ret}, all of its fields but those of
// what is older, and of the lease.
void news_log_tell(struct news_log *log, const struct news_question *question, struct news_answer *ret);

#endif
