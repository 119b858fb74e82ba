// SPDX-License-Identifier: MIT
// Blocks of a sealed volume on the disks of this node (cache/sealed.h), with the key of the volume that it has: who may
// read has them in the clear in memory, who may not as ciphertext; on disks it is ciphertext for all of them.
#ifndef HVFS_NODE_SEALED_FORM_H
#define HVFS_NODE_SEALED_FORM_H

#include "cache/sealed.h"
#include "crypto/volume_key.h"

// ${key} outlives the form. One for each thread that uses it. Never NULL.
struct sealed_form *sealed_form_create(const struct volume_key *key);
void sealed_form_destroy(struct sealed_form *form);

#endif
