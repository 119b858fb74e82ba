// SPDX-License-Identifier: MIT
// The byte layout of messages; only net/wire*.c know it. Pure functions over bytes; no length is trusted.
// docs/protocol.md, "Bytes".
#ifndef HVFS_NET_WIRE_H
#define HVFS_NET_WIRE_H

#include "core/message.h"

#include <sys/uio.h>

enum { WIRE_HEADER_SIZE = 12, WIRE_PARAM_SIZE = 4 };

// What is wrong with a message, in the words of an ERR_REPLY.
struct wire_error {
	enum status status;
	uint16_t param;                      // type of the parameter, 0 when the header is wrong
	uint8_t value[LIMIT_ERR_VALUE_SIZE]; // the offending bytes, cut
	size_t value_size;
};

// Finds where a message ends, over bytes that arrive piece by piece. Zero it before each message.
struct wire_splitter {
	size_t scanned; // bytes up to here are whole parameters (or the header)
	size_t apart;   // bytes of blocks that are elsewhere (wire_next)
};

// Is there a whole message at the start of ${bytes}, of which ${size} have arrived? Returns its size; 0: not yet; -1:
// it can not become one (header, or longer than LIMIT_MESSAGE_SIZE), *ret_error says why. Work already done is
// remembered in ${splitter}; the same bytes must be given again with more behind them.
long wire_split(struct wire_splitter *splitter, const uint8_t *bytes, size_t size, struct wire_error *ret_error);

enum wire_part {
	WIRE_HEAD,  // *ret_size more bytes belong to the message's own
	WIRE_BLOCK, // *ret_size bytes of a block (a legal size) come next, and go elsewhere
	WIRE_END,   // the message is whole
	WIRE_BAD,   // as -1 of wire_split
};

// The same of a message whose blocks are kept apart: the values of DATA are not among ${bytes}. What comes next? To be
// called again with the same and more bytes after WIRE_HEAD, with the same after the block has come.
enum wire_part wire_next(struct wire_splitter *splitter, const uint8_t *bytes, size_t size, size_t *ret_size,
			 struct wire_error *ret_error);

// How many blocks the message is about whose beginning, up to its first DATA, is in ${bytes}; 1 if it does not say.
uint32_t wire_block_count(const uint8_t *bytes, size_t size);

// Decode the message of exactly ${size} bytes. Items are written to ${items} (room for LIMIT_RUN_BLOCKS), which
// ret->items then points to. Blobs and item bytes point into ${bytes}. Checks lengths, ranges of enumerated values,
// that required companions are there (BLOCK_COUNT and items with BLOCK_NUM, as many items as blocks) and that no
// parameter except the item ones comes twice. Sizes of DATA are checked for being equal within the message and a legal
// block size (ret->data_size). Unknown parameters: BAD_PARAM_ID unless optional (>= 0x8000). Returns 0, or -1 with
// *ret_error; the header fields of *ret are valid in both cases when status is not INVALID_HEADER.
int wire_decode(const uint8_t *bytes, size_t size, struct item *items, struct message *ret,
		struct wire_error *ret_error);

// The same of a message whose blocks are in ${blocks}, in their order, one for each time that wire_next said so. Items
// point to them (buf, without a count, and its bytes).
int wire_decode_apart(const uint8_t *bytes, size_t size, struct buf *const *blocks, struct item *items,
		      struct message *ret, struct wire_error *ret_error);

// Bytes that wire_encode needs at most in ${scratch} for ${message} (all but the bytes of blocks).
size_t wire_scratch_size(const struct message *message);

// Segments that wire_encode fills at most.
size_t wire_segment_count(const struct message *message);

// A piece of an encoded message: bytes in scratch (buf NULL) or of a block.
struct wire_segment {
	const uint8_t *bytes;
	size_t size;
	struct buf *buf; // borrowed from the message
};

// Encode. ITEM_DATA items give ${block_size} bytes of their buf each. Consecutive items of one version share a VERSION;
// consecutive zero (empty) items of one version become one ZERO_RUN (EMPTY_RUN). Returns the number of segments.
size_t wire_encode(const struct message *message, size_t block_size, uint8_t *scratch, struct wire_segment *segments);

#endif
