// SPDX-License-Identifier: MIT
// The input of fuzz_session is a script of records of 8 bytes. The first says who is there and how they are configured,
// each of the others is something that happens. A byte of 0 means what an honest neighbour would do; an operation that
// is not known, or that can not happen now, does nothing. So any bytes are a script, and a mutation changes little.
//
//	byte  first record                     others
//	0     mode: MODE_*                     the operation, in its low 5 bits
//	1     AUTO_*                           where: bit 0 the node, bits 1-2 the slot of the link; bits 3-5 which one
//	2     cache, credits, write mode, ...  FORGE, ANSWER: the form of the message (session_grammar.c)
//	3     leases, dirty_max, ...           the first block
//	4     durability, grace, read-ahead    bits 0-3 blocks, 4-5 permission, 6-7 flags
//	5     time limits, directory           bits 0-2 what the blocks carry, 3-7 their version
//	6                                      2 bits each: transaction, volume, session, node
//	7                                      all other parameters
//
// New operations and forms are added at the end, so that the corpus keeps its meaning.
#ifndef HVFS_TESTS_FUZZ_SESSION_SCRIPT_H
#define HVFS_TESTS_FUZZ_SESSION_SCRIPT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RECORD_SIZE = 8,
	RECORDS_MAX = 512, // of a script that are looked at
	STEPS_MAX = 2048,  // records that happen, repeated ones counted again
	SLOTS = 4,         // links of a node: slot 0 leads to its parent, the others to children
};

enum {
	MODE_ROOT, // a root; the children are the fuzzer
	MODE_NODE, // a proxy that also uses its volumes; the parent and the children are the fuzzer
	MODE_PAIR, // a root and a leaf; the fuzzer stands between them, and has two more links to the root
	MODE_COUNT,
};

// What happens by itself after each operation.
enum {
	AUTO_ANSWER = 0x01, // the fuzzer's neighbours answer what they are asked, honestly
	AUTO_STORE = 0x02,  // the root's storage does what it was told
	AUTO_RELAY = 0x04,  // what the pair says to each other passes
	AUTO_ROOM = 0x08,   // links are drained
	AUTO_LATE = 0x10,   // a link that the core closes stays until time passes
	AUTO_START = 0x20,  // at the beginning all links are up and connected
};

#define SESSION_OPS(X)                                                                                \
	X(TIME)    /* 1: how long (times[]); 2, bit 0: the process was stopped meanwhile */           \
	X(UP)      /* a link */                                                                       \
	X(DOWN)    /* a link */                                                                       \
	X(ROOM)    /* a link; 2: bytes that wait on it, in 4 KiB */                                   \
	X(IO)      /* 2: kind, volume, force_sync, stream; 3: where; 4-5: size */                     \
	X(CANCEL)  /* which: a local request */                                                       \
	X(STORE)   /* which: an operation of the storage ends; 2: error; 3: the bytes read */         \
	X(EVICTED) /* which: an eviction is on record; 2: error */                                    \
	X(ABORT)   /* 2: volume */                                                                    \
	X(STOP)    /* a node */                                                                       \
	X(SET)     /* 2: write mode, durability, disconnect_ms */                                     \
	X(AUTO)    /* 1: AUTO_* from now on */                                                        \
	X(FORGE)   /* a message of the given form arrives on the link */                              \
	X(ANSWER)  /* which: of the requests that the core sent on the link is answered */            \
	X(RELAY)   /* which: of what waits for the node passes; 2, bit 0: it also stays */            \
	X(REPLAY)  /* which: of what came on the link comes again; 2, bit 0: on another link */       \
	X(MODIFY)  /* 1: kind (grammar.h), 2: parameter, 3: choice, 4-7: value; of what comes next */ \
	X(RAW)     /* 2: so many of the next records arrive as they are */                            \
	X(REPEAT)  /* 2: so many of the next records happen 3 times as often, in all STEPS_MAX */

enum session_op {
#define X(name) DO_##name,
	SESSION_OPS(X)
#undef X
		DO_COUNT
};
static_assert(DO_COUNT <= 32, "an operation has 5 bits");

// The place in bytes 1 of a record.
#define AT(node, slot) (uint8_t)((node) | (slot) << 1)

#endif
