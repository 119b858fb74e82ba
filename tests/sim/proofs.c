// SPDX-License-Identifier: MIT
#include "tests/sim/proofs.h"

#include "core/check.h"
#include "crypto/seal.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

struct proofs_entry {
	uint64_t block;
	version_t sealed; // 0: it is lost
	uint8_t digest[SEAL_DIGEST_SIZE];
};

static struct proofs *
proofs_of(struct node *node, uint32_t volume)
{
	return volume < WORLD_VOLUMES && node->parent != WORLD_NO_NODE && node->seal_role >= VOLUME_ROLE_WRITER ? &node->proofs[volume]
														 : NULL;
}

static struct disk *
root_disk(const struct node *node, uint32_t volume, int *ret_index)
{
	const struct node *root = node->world->nodes[0];

	for (*ret_index = 0; *ret_index < root->volume_count; ++*ret_index)
		if (strcmp(root->volumes[*ret_index].name, node->volumes[volume].name) == 0)
			return root->volumes[*ret_index].disk;
	return NULL;
}

static void
look_at_root(const struct node *node, uint32_t volume, uint64_t block, version_t sealed)
{
	struct node *root = node->world->nodes[0];
	int index;
	struct disk *disk = root_disk(node, volume, &index);
	struct block_info info = {0};

	if (!root->stopped)
		core_block_info(root->core, (uint32_t)index, block, world_clock(root), &info);
	if (sealed >= info.version && (disk->sealed == NULL || sealed >= disk->sealed[block].sealed))
		return;
	if (disk->misled == NULL)
		disk->misled = calloc(disk->block_count, sizeof *disk->misled);
	CHECK(disk->misled != NULL);
	disk->misled[block] = true;
}

bool
proofs_misled(const struct world *world, const char *volume, uint64_t block)
{
	const struct node *root = world->nodes[0];

	for (int i = 0; i < root->volume_count; i++)
		if (strcmp(root->volumes[i].name, volume) == 0)
			return root->volumes[i].disk->misled != NULL && root->volumes[i].disk->misled[block];
	return false;
}

void
proofs_sent(struct node *node, uint32_t volume, const struct message *message)
{
	struct proofs *proofs = proofs_of(node, volume);

	if (proofs == NULL)
		return;
	if (message->opcode == OP_FLUSH && !(message->present & PRESENT(BLOCK_NUM))) {
		proofs->barrier_xid = message->xid;
		proofs->barrier_end = proofs->count;
		proofs->barrier_runs = true;
	}
	if (message->opcode == OP_RECOVER && !core_is_own_claim(node->core, volume, message))
		return;
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		const struct blob *verifier = &message->items[i].verifier;

		// What it has written on top of what a liar had shown may be older than what there is.
		if (node->distrusted && message->opcode == OP_RECOVER && message->perm == PERM_WRITE &&
		    message->items[i].kind == ITEM_EMPTY && message->items[i].version != 0)
			look_at_root(node, volume, message->block + i, message->items[i].version);
		if (verifier->size == 0)
			continue;
		proofs->entries = realloc(proofs->entries, (proofs->count + 1) * sizeof *proofs->entries);
		CHECK(proofs->entries != NULL);
		proofs->entries[proofs->count++] =
			(struct proofs_entry){.block = message->block + i,
					      .sealed = seal_version(verifier->bytes, verifier->size)};
		seal_digest(verifier->bytes, verifier->size, proofs->entries[proofs->count - 1].digest);
		look_at_root(node, volume, message->block + i, proofs->entries[proofs->count - 1].sealed);
	}
}

void
proofs_heard(struct node *node, const struct message *message)
{
	for (int i = 0; i < WORLD_VOLUMES && message->opcode == OP_OK_REPLY; i++) {
		struct proofs *proofs = &node->proofs[i];

		if (!proofs->barrier_runs || proofs->barrier_xid != message->xid)
			continue;
		proofs->barrier_runs = false;
		proofs->covered = proofs->barrier_end;
	}
}

void
proofs_lost(struct node *node, uint32_t volume, uint64_t block)
{
	struct proofs *proofs = proofs_of(node, volume);

	for (size_t i = 0; proofs != NULL && i < proofs->count; i++)
		if (proofs->entries[i].block == block)
			proofs->entries[i].sealed = 0;
}

static bool
is_there(const struct disk *disk, const struct proofs_entry *entry)
{
	const struct sealed_entry *filed = disk->sealed_filed != NULL ? &disk->sealed_filed[entry->block] : NULL;

	if (entry->sealed == 0 || (filed != NULL && filed->sealed > entry->sealed))
		return true;
	return filed != NULL && filed->sealed == entry->sealed && memcmp(filed->digest, entry->digest, sizeof filed->digest) == 0;
}

bool
proofs_prove(struct node *node, uint32_t volume)
{
	struct proofs *proofs = proofs_of(node, volume);
	const struct disk *disk;
	size_t kept = 0, unproven = 0, ends = 0;
	int index;

	if (proofs == NULL)
		return true;
	if (core_is_all_durable(node->core, volume))
		proofs->covered = proofs->count;
	disk = root_disk(node, volume, &index);
	for (size_t i = 0; i < proofs->count; i++) {
		if (i < proofs->covered && is_there(disk, &proofs->entries[i]))
			continue;
		unproven += i < proofs->covered;
		ends += i < proofs->barrier_end;
		proofs->entries[kept++] = proofs->entries[i];
	}
	proofs->count = kept;
	proofs->covered = unproven; // the next one asks again
	proofs->barrier_end = ends;
	return unproven == 0 || node->world->broken == BREAK_PROOFS;
}

void
proofs_forget(struct node *node)
{
	for (int i = 0; i < WORLD_VOLUMES; i++) {
		free(node->proofs[i].entries);
		node->proofs[i] = (struct proofs){0};
	}
}
