// SPDX-License-Identifier: MIT
// Every bound of hvfs in one place. Units are in the names.
#ifndef HVFS_CORE_LIMITS_H
#define HVFS_CORE_LIMITS_H

#include <assert.h>
#include <stdint.h>

enum {
	LIMIT_NAME_SIZE = 255,                      // bytes of a volume's or node's name, without the NUL
	LIMIT_BLOCK_SIZE_MIN = 512,                 // a block is a power of two of bytes in this range:
	LIMIT_BLOCK_SIZE_MAX = 32768,               // it must fit one DATA parameter (2-byte length)
	LIMIT_RUN_BLOCKS = 2048,                    // blocks one message speaks of
	LIMIT_MESSAGE_DATA_SIZE = 1 << 20,          // bytes of block data in one message
	LIMIT_VERIFIER_SIZE = 384,                  // bytes of a block's verifier
	LIMIT_MESSAGE_SIZE = (1 << 20) + 1024 * 1024, // encoded message, whole
	LIMIT_HOPS = 32,                            // depth of a tree: hops left of a fresh message, length of a PATH
	LIMIT_VOLUMES = 64,                         // volumes of one node
	LIMIT_LINKS = 4096,                         // open links of one node, parent's included
	LIMIT_CHILDREN = 8192,                      // (child, volume) sessions of one node, absent ones included
	LIMIT_CHILDREN_OF_PEER = 4096,              // of these, of one key or user
	LIMIT_SILENT_MS = 30 * 1000,                // a connection without CONNECT; less when leases are shorter
	LIMIT_CREDITS = 16384,                      // blocks a child may have asked for and not yet got
	LIMIT_LINK_DATA_SIZE = 512 * 1024,          // block data queued on one link (protocol.md R16)
	LIMIT_CHILD_QUEUE_SIZE = 4 << 20,           // bytes queued for a child, before it is cut off: it does not read
	LIMIT_PARENT_QUEUE_SIZE = 64 << 20,         // and for a parent
	LIMIT_STRANGER_MESSAGE_SIZE = 16 * 1024,    // message of a child that has no session yet
	LIMIT_IO_SIZE = 1 << 20,                    // bytes of one local read or write
	LIMIT_PARENTS = 8,                          // addresses of --parent
	LIMIT_ADDRESS_SIZE = 255,                   // bytes of an address as it is told to children
	LIMIT_ANCESTORS = 32,                       // addresses learned from a parent
	LIMIT_CLAIMANTS = 1024,                     // whose claims are being decided at the same time
	LIMIT_CLAIMS = 1 << 24,                     // of children, with bytes that they bring, being decided at the same time
	LIMIT_CLAIM_SIZE = 1 << 30,                 // bytes of these, of one key or user
	LIMIT_BROUGHT_SIZE = 1 << 30,               // bytes that one has brought up, and that have not gone on
	LIMIT_DIRECTORY_MAX = 1 << 28,              // of core_config.directory_max
	LIMIT_DIRECTORY_TIMES = 4,                  // as many records, when children do not answer or do not come back
	LIMIT_GAPS = 4096,                          // blocks of which a node knows which versions are lost
	LIMIT_EVICTIONS = 4096,                     // of a volume, on record at its root; of one peer a quarter, once there is no more left
	LIMIT_RECLAIMS = 1 << 16,                   // runs of blocks on record there that were claimed in a grace time
	LIMIT_STORED = 1 << 24,                     // blocks whose version before the start a root remembers
	LIMIT_LISTENERS = 16,
	LIMIT_HANDSHAKES = 256,           // connections that are not through with TLS yet, in all
	LIMIT_HANDSHAKES_OF_HOST = 64,    // of these, from one address (an IPv6 host: from one /64)
	LIMIT_LINKS_OF_KEY = 64,          // links of children with one key, or of one user who is neither this one nor root
	LIMIT_LINKS_OF_HOST = 1024,       // and of those of which nobody knows who they are, from one address
	LIMIT_HANDSHAKE_MS = 10 * 1000,   // and for how long
	LIMIT_ERR_VALUE_SIZE = 64, // bytes of ERR_VALUE
	BLOCK_DIGEST_SIZE = 16,    // bytes of a block's digest
	SEALED_KEY_ID_SIZE = 16,   // by which the keys of a sealed volume are known
	LIMIT_BLOB_SIZE = 4096,    // bytes of KEY or DIGEST
	LIMIT_COOKIE_SIZE = 32768, // bytes of COOKIE: of an answer; a request has less (LIMIT_BLOB_SIZE)
};

static_assert(LIMIT_DIRECTORY_MAX <= INT32_MAX / LIMIT_DIRECTORY_TIMES, "records have 31-bit indices");
static_assert(LIMIT_BLOCK_SIZE_MAX <= 65535, "a block fits a parameter");
static_assert(LIMIT_RUN_BLOCKS * LIMIT_BLOCK_SIZE_MIN <= LIMIT_MESSAGE_DATA_SIZE,
	      "a run of the smallest blocks fits a message");
static_assert(LIMIT_MESSAGE_DATA_SIZE + LIMIT_RUN_BLOCKS * (16 + 4 + LIMIT_VERIFIER_SIZE) + 1024 <= LIMIT_MESSAGE_SIZE,
	      "data, a version, a verifier and a header for each block fit a message");

#endif
