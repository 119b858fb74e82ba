// SPDX-License-Identifier: MIT
// Messages that make sense where they are said, or almost: built from what the peer has heard from the core and a few
// bytes of choice, of which 0 is honest. Table-driven (session_grammar.c): a new opcode is a line in forms[], and one
// in replies[] if it is to be answered; a new parameter needs a line only if it is to be something better than what the
// core said last or an extreme value.
#ifndef HVFS_TESTS_FUZZ_SESSION_GRAMMAR_H
#define HVFS_TESTS_FUZZ_SESSION_GRAMMAR_H

#include "tests/fuzz/wire_help.h"

enum { PEER_REQUESTS = 16, PEER_VOLUMES = 3, REAL_VOLUMES = 2, MODIFIERS_MAX = 8 };

// What all sides agree on. The third volume is one that a root does not have and a proxy asks its parent for.
#define VOLUME_NAMES                    \
	{                               \
		"disk", "tape", "other" \
	}
#define VOLUME_BLOCKS                    \
	{                                \
		UINT64_C(1) << 32, 5, 16 \
	}
#define VOLUME_BLOCK_SIZES      \
	{                       \
		512, 4096, 1024 \
	}

enum {
	FIRST_ID = 100,     // VOLUME_ID of volume 0 towards children of a real node
	PARENT_ID = 200,    // the same of a parent that the fuzzer plays
	NODE_ID_BASE = 50,  // NODE_IDs of the real nodes
	PEER_ID_BASE = 500, // of the fuzzer's
	EPOCH = 3,          // that a root gives
};

// Something that the core asked for and the peer has not answered.
struct request {
	enum opcode opcode;
	uint16_t flags;
	uint32_t xid, volume_id;
	bool has_blocks;
	uint64_t block;
	uint32_t count;
	enum perm perm;
	enum item_kind kind;
	version_t version;
	uint64_t session;
	unsigned volume; // CONNECT: which
};

// One end of a link as the fuzzer plays it.
struct peer {
	bool is_parent;   // of the core
	uint64_t node_id; // that it says it has
	uint32_t hb_ttl_ms, ttl_ms;
	struct request requests[PEER_REQUESTS]; // oldest first
	unsigned request_count;
	uint32_t xid;      // of its own last request
	uint64_t connects; // how often it has connected
	uint64_t grants;   // that it gave, as a parent
	// What it heard.
	uint32_t volume_ids[PEER_VOLUMES]; // 0: not told
	uint64_t sessions[PEER_VOLUMES];
	uint64_t block;
	uint32_t count;
	version_t version;            // the newest
	uint64_t echo[PRESENT_COUNT]; // the last number said for each parameter
};

// The bytes of a record, taken apart. 0 is honest.
struct choice {
	uint8_t form, block, count, perm, flags, items, version, xid, volume, session, node, rest;
};

enum modifier_kind {
	MODIFY_NOTHING,
	MODIFY_ADD,    // the parameter, its value by choice
	MODIFY_DROP,   // the parameter
	MODIFY_SET,    // the parameter to the value, if it may have it
	MODIFY_HEADER, // choice 0: hops, 1: flags, 2: transaction
	MODIFY_SIZE,   // the blocks' size
	MODIFY_BYTE,   // in the bytes at value: xor choice
	MODIFY_CUT,    // the bytes end there
	MODIFY_PARAM,  // the length of the parameter in the bytes becomes the value
	MODIFY_COUNT,
};

struct modifier {
	uint8_t kind, param, choice;
	uint32_t value;
};

struct modifiers {
	struct modifier list[MODIFIERS_MAX];
	unsigned count;
};

// How many forms there are, and the name of one.
unsigned grammar_form_count(void);
const char *grammar_form_name(unsigned form);

// The number of the form ${name}; stops the process when there is none.
uint8_t grammar_form(const char *name);

// ${peer} has heard ${message} from the core.
void grammar_heard(struct peer *peer, const struct message *message);

// Build a message of form choice->form that ${peer} says unasked. Returns bytes to be freed, or NULL when there is no
// such form. ${modifiers} are used up.
uint8_t *grammar_forge(struct peer *peer, const struct choice *choice, struct modifiers *modifiers, size_t *ret_size);

// Answer the request number ${index} (0: the oldest): with what it asked for, or when choice->form is not 0 with the
// form before that number. It is answered then, unless choice->rest has its highest bit. NULL when there is none.
uint8_t *grammar_answer(struct peer *peer, unsigned index, const struct choice *choice, struct modifiers *modifiers,
			size_t *ret_size);

// Change the message ${bytes} that somebody else built. Returns bytes to be freed.
uint8_t *grammar_alter(const uint8_t *bytes, size_t size, struct modifiers *modifiers, size_t *ret_size);

#endif
