// SPDX-License-Identifier: MIT
// The messages of the protocol as structs (spec.md S12-S15; the seed's Tables 1-5). Bytes are net/wire's affair.
#ifndef HVFS_CORE_MESSAGE_H
#define HVFS_CORE_MESSAGE_H

#include "core/buf.h"
#include "core/limits.h"
#include "core/types.h"

// SESSION of a CONNECT that resumes none, though not all that was given in one has been given back.
#define SESSION_OVER UINT64_MAX

// hdrOpcode. The five kinds of IO_REQUEST have an opcode each: OP_IO_REQUEST + kind.
#define MESSAGE_OPCODES(X)   \
	X(CONNECT, 0x01)     \
	X(DISCONNECT, 0x02)  \
	X(OK_REPLY, 0x03)    \
	X(ERR_REPLY, 0x04)   \
	X(INVALIDATE, 0x05)  \
	X(PUSH, 0x06)        \
	X(HEARTBEAT, 0x07)   \
	X(FORWARD, 0x08)     \
	X(GET_COOKIES, 0x09) \
	X(GET, 0x10)         \
	X(PUT, 0x11)         \
	X(FLUSH, 0x12)       \
	X(LOCK, 0x13)        \
	X(RECOVER, 0x14)

enum opcode {
#define X(name, value) OP_##name = value,
	MESSAGE_OPCODES(X)
#undef X
};

// hdrFlags
enum {
	FLAG_FORCE_SYNC = 0x0001,  // to the root before the answer
	FLAG_PARAMS = 0x0002,      // parameters follow the header (set by the encoder)
	FLAG_RECOVERY_OP = 0x0004, // part of recovery
	FLAG_ALL = 0x0007,
};

// CONNECT_FLAGS
enum {
	CONNECT_SYNC_WRITE = 0x0001,
	CONNECT_ASYNC_WRITE = 0x0002,
	CONNECT_IS_ROOT = 0x0004,
	CONNECT_IS_PROXY = 0x0008,
	CONNECT_READ_ONLY = 0x0010, // the child will not, or may not, write
	CONNECT_RESUMED = 0x0020,   // answer: the permissions of the session named in CONNECT still stand
	CONNECT_SEMI_SYNC_WRITE = 0x0040,
	CONNECT_RECOVERING = 0x0080, // answer: what the parent holds is not confirmed yet under EPOCH
	// Answer: not resumed; but this very process has what it took, and sent on, in that session. Request: the child has left bytes
	// to nodes above it.
	CONNECT_KNOWN = 0x0100,
	CONNECT_SAME_PROCESS = 0x0200, // answer: not resumed; but that session was one of this very process
	CONNECT_AFTER_LEAVE = 0x0400, // answer of a root: that of the epoch before EPOCH left in order
	CONNECT_NAME_BEFORE = 0x0800,  // answer, news: the last name of PATH is one that the parent's parent had before, and none of now
	CONNECT_ALL = 0x0fff,
};

// STATUS of an ERR_REPLY: the seed's Table 4, then ours.
#define MESSAGE_STATUSES(X)                                                  \
	X(INVALID_HEADER, 1, "the message header is invalid")                \
	X(BAD_PARAM_ID, 2, "a required parameter is not known")              \
	X(BAD_PARAM_LENGTH, 3, "a parameter has a wrong length")             \
	X(BAD_PARAM_VALUE, 4, "a parameter has a value that is not allowed") \
	X(LOOP_DETECTED, 5, "the request came round")                        \
	X(BAD_VERIFIER, 6, "the verifier does not match the data")           \
	X(IN_RECOVERY, 7, "the block is frozen during recovery")             \
	X(NOT_SUPPORTED, 8, "this operation is not supported here")          \
	X(NO_SUCH_VOLUME, 9, "no such volume")                               \
	X(NOT_HOLDER, 10, "the sender does not hold that permission")        \
	X(STORE_ERROR, 11, "the storage failed")                             \
	X(NO_SPACE, 12, "the storage is full")                               \
	X(READ_ONLY, 13, "the volume is read-only")                          \
	X(TOO_MANY, 14, "beyond the agreed credits or a limit")              \
	X(UNAVAILABLE, 15, "the parent of this node is not reachable")       \
	X(BAD_VERSION, 16, "the protocol version is not spoken here")        \
	X(MISSING_PARAM, 17, "a parameter is missing")                       \
	X(EVICTED, 18, "the session was evicted: its blocks were given to others") \
	X(ACCESS_DENIED, 19, "this node has no right to that there")

enum status {
	STATUS_NONE = 0,
#define X(name, value, text) STATUS_##name = value,
	MESSAGE_STATUSES(X)
#undef X
};

// Parameter types (S13), one bit each in message.present. Types above 0x8000 are optional: who does not know one skips
// it. Sizes are in docs/protocol.md and net/wire.c.
#define MESSAGE_PARAMS(X)        \
	X(END_MSG, 0x0000)       \
	X(VOLUME_NAME, 0x0001)   \
	X(VOLUME_ID, 0x0002)     \
	X(CONNECT_FLAGS, 0x0003) \
	X(BLOCK_NUM, 0x0004)     \
	X(PERMISSIONS, 0x0005)   \
	X(DATA, 0x0006)          \
	X(VERIFIER, 0x0007)      \
	X(KEY, 0x0008)           \
	X(TTL, 0x0009)           \
	X(HB_TTL, 0x000a)        \
	X(STATUS, 0x000b)        \
	X(ERR_PARAM, 0x000c)     \
	X(ERR_VALUE, 0x000d)     \
	X(PARENT_ID, 0x000e)     \
	X(BLOCK_COUNT, 0x0010)   \
	X(VERSION, 0x0011)       \
	X(ZERO_RUN, 0x0012)      \
	X(EMPTY_RUN, 0x0013)     \
	X(GRANT, 0x0014)         \
	X(EPOCH, 0x0015)         \
	X(PROTOCOL, 0x0016)      \
	X(NODE_ID, 0x0017)       \
	X(NODE_NAME, 0x0018)     \
	X(SESSION, 0x0019)       \
	X(PATH, 0x001a)          \
	X(CREDITS, 0x001b)       \
	X(VOLUME_SIZE, 0x001c)   \
	X(BLOCK_SIZE, 0x001d)    \
	X(DIGEST, 0x001e)        \
	X(COOKIE, 0x001f)        \
	X(RANGE_START, 0x0020)   \
	X(STRIPE, 0x0021)        \
	X(LINK_NUMBER, 0x0022)   \
	X(PARENT_ADDR, 0x8001)   \
	X(GAP_FROM, 0x8002)      \
	X(GAP_TO, 0x8003)

enum param_type {
#define X(name, value) PARAM_##name = value,
	MESSAGE_PARAMS(X)
#undef X
};

// Bits of message.present: which parameters the message carries. VERSION, VERIFIER, DATA, ZERO_RUN and EMPTY_RUN are not
// here: they travel as message.items.
enum {
#define X(name, value) PRESENT_INDEX_##name,
	MESSAGE_PARAMS(X)
#undef X
		PRESENT_COUNT
};
#define PRESENT(name) (UINT64_C(1) << PRESENT_INDEX_##name)
static_assert(PRESENT_COUNT <= 64, "one bit for each parameter");

#define PROTOCOL_VERSION 1

// What a message says of one block of its run.
enum item_kind {
	ITEM_EMPTY = 0, // no bytes
	ITEM_ZERO = 1,  // all zeros
	ITEM_DATA = 2,  // bytes
};

struct blob {
	const uint8_t *bytes;
	size_t size;
};

struct item {
	version_t version; // of the bytes; 0: not said
	enum item_kind kind;
	const uint8_t *bytes; // ITEM_DATA as decoded: points into the decoded bytes
	struct buf *buf;      // ITEM_DATA to encode, or given to the core: counted bytes of one block
	struct blob verifier; // ITEM_DATA, ITEM_ZERO: of a sealed volume's block (node/sealing.h); the core has none
};

// One message. Fields whose PRESENT bit is not set are not sent and are zero after decoding. Strings are not
// NUL-terminated after decoding: they are blobs that point into the decoded bytes.
struct message {
	enum opcode opcode;
	uint8_t hops_left;
	uint16_t flags;  // FLAG_*, without FLAG_PARAMS
	uint32_t origin; // hdrOrigIP: an address, or the low half of the originator's node id
	uint32_t xid;    // a reply repeats its request's

	uint64_t present; // PRESENT(name) of each parameter below that is carried
	struct blob volume_name;
	uint32_t volume_id;
	uint32_t connect_flags;
	uint64_t block; // BLOCK_NUM: first block of the run
	uint32_t count; // BLOCK_COUNT: blocks of the run, 1 to LIMIT_RUN_BLOCKS; 1 when not carried with BLOCK_NUM
	enum perm perm; // PERMISSIONS
	uint32_t ttl_ms;
	uint32_t hb_ttl_ms;
	enum status status;
	uint16_t err_param;    // a parameter's type
	struct blob err_value; // at most LIMIT_ERR_VALUE_SIZE
	uint64_t parent_id;
	uint64_t grant; // link-wide number of this grant (R8); in a release: the last one seen
	uint32_t epoch;
	uint32_t protocol;
	uint64_t node_id;
	struct blob node_name;
	uint64_t session;          // CONNECT: the session to resume (0: none; or SESSION_OVER); its answer: the session now running
	uint64_t path[LIMIT_HOPS]; // PATH: ids of the nodes below, nearest last (F8)
	uint32_t path_count;
	uint32_t credits;
	uint64_t link_number; // of the link of NODE_ID that this is about: it grows with each CONNECT
	struct gap gap;       // GAP_FROM, GAP_TO: below the version of the only block that this is about
	uint64_t volume_size;                                                        // bytes
	uint32_t block_size;                                                         // bytes
	struct blob key, digest, parent_addr;
	struct blob cookie, range_start, stripe; // carried, given a meaning later

	struct item *items; // VERSION/VERIFIER/DATA/ZERO_RUN/EMPTY_RUN: ${count} of them, or NULL when the message carries none
	uint32_t data_size; // decoded: bytes of each ITEM_DATA, to be compared with the volume's block size; 0: no such
			    // item
};

// A copy that needs nothing of what ${message} points to: blobs are copied, buffers of items counted. Never NULL; to be given
// to message_free.
struct message *message_copy(const struct message *message);
void message_free(struct message *message);

// Is it a name of a volume or node? 1 to LIMIT_NAME_SIZE letters, digits, '_', and, not in front, '.' and '-', all of ASCII: it
// becomes a part of files' names, log lines and what a terminal shows.
bool blob_is_name(struct blob blob);

// Has it only ASCII that can be printed, and spaces?
bool blob_is_printable(struct blob blob);

// "GET", "OK_REPLY", …; "?" for a value that is no opcode.
const char *message_opcode_name(unsigned opcode);

// The sentence for a STATUS; "unknown status" for other values.
const char *message_status_text(unsigned status);

// "BLOCK_NUM", …; "?" for a value that is no parameter type.
const char *message_param_name(unsigned type);

#endif
