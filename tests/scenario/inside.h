// SPDX-License-Identifier: MIT
// What a scenario can not bring about with a few nodes, or not see: it is put into the core by hand, or looked up there.
#ifndef HVFS_TESTS_INSIDE_H
#define HVFS_TESTS_INSIDE_H

#include "core/types.h"

#include <stdbool.h>

struct core;

// As many claimants as it can keep claim something (${full}), or none does any more.
void inside_claimants(struct core *core, bool full);

// The version of ${block} of its first volume.
version_t inside_version(struct core *core, uint64_t block);

// Under which name its children know it with its first volume.
uint64_t inside_name(const struct core *core);

// Something that came from all its children, of its first volume, is lost here.
void inside_loss(struct core *core);

// When its grace time ends, by its own clock.
moment_us inside_grace_end(const struct core *core);

// The link of its first child.
uint32_t inside_link(const struct core *core);

// No session of its children is resumed: they have to say anew what they hold.
void inside_moved(struct core *core);

// Of ${block} of its first volume it has ${version}, zeros, which no permission covers: that is sent up.
void inside_uncovered(struct core *core, uint64_t block, version_t version);

#endif
