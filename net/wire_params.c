// SPDX-License-Identifier: MIT
// The listing of parameters: docs/protocol.md, "Bytes", in C. A parameter that is added to core/message.h needs its
// line here.
#include "net/wire_params.h"

#define FIELD_WIDTH(field) sizeof(((struct message *)NULL)->field)
#define FIELD(field) FIELD_WIDTH(field), offsetof(struct message, field)
#define PARAM(name, kind, size, field, min, max) \
	[PRESENT_INDEX_##name] = {PARAM_##name, kind, size, FIELD(field), min, max}
#define STRUCTURE(name) [PRESENT_INDEX_##name] = {PARAM_##name, KIND_STRUCTURE, 0, 0, 0, 0, 0}
#define NUMBER(name, size, field, min, max) PARAM(name, KIND_NUMBER, size, field, min, max)
#define BLOB(name, field, min, max) PARAM(name, KIND_BLOB, 0, field, min, max)

const struct param wire_params[PRESENT_COUNT] = {
	STRUCTURE(END_MSG),
	BLOB(VOLUME_NAME, volume_name, 1, LIMIT_NAME_SIZE),
	NUMBER(VOLUME_ID, 4, volume_id, 0, UINT32_MAX),
	PARAM(CONNECT_FLAGS, KIND_FLAGS, 4, connect_flags, 0, CONNECT_ALL),
	NUMBER(BLOCK_NUM, 8, block, 0, WIRE_BLOCK_NUM_MAX),
	NUMBER(PERMISSIONS, 2, perm, PERM_NO, PERM_WRITE),
	STRUCTURE(DATA),
	STRUCTURE(VERIFIER),
	BLOB(KEY, key, 0, LIMIT_BLOB_SIZE),
	NUMBER(TTL, 4, ttl_ms, 0, UINT32_MAX),
	NUMBER(HB_TTL, 4, hb_ttl_ms, 0, UINT32_MAX),
	NUMBER(STATUS, 2, status, STATUS_NONE + 1, UINT16_MAX), // a neighbour may know more of them
	NUMBER(ERR_PARAM, 2, err_param, 0, UINT16_MAX),
	BLOB(ERR_VALUE, err_value, 0, LIMIT_ERR_VALUE_SIZE),
	NUMBER(PARENT_ID, 8, parent_id, 0, UINT64_MAX),
	NUMBER(BLOCK_COUNT, 4, count, 1, LIMIT_RUN_BLOCKS),
	STRUCTURE(VERSION),
	STRUCTURE(ZERO_RUN),
	STRUCTURE(EMPTY_RUN),
	NUMBER(GRANT, 8, grant, 0, UINT64_MAX),
	NUMBER(EPOCH, 4, epoch, 0, WIRE_EPOCH_MAX),
	NUMBER(PROTOCOL, 4, protocol, 0, UINT32_MAX),
	NUMBER(NODE_ID, 8, node_id, 0, UINT64_MAX),
	BLOB(NODE_NAME, node_name, 1, LIMIT_NAME_SIZE),
	NUMBER(SESSION, 8, session, 0, UINT64_MAX),
	PARAM(PATH, KIND_PATH, 8, path, 0, LIMIT_HOPS),
	NUMBER(CREDITS, 4, credits, 0, UINT32_MAX),
	NUMBER(VOLUME_SIZE, 8, volume_size, 0, UINT64_MAX),
	PARAM(BLOCK_SIZE, KIND_POWER, 4, block_size, LIMIT_BLOCK_SIZE_MIN, LIMIT_BLOCK_SIZE_MAX),
	BLOB(DIGEST, digest, 0, LIMIT_BLOB_SIZE),
	BLOB(COOKIE, cookie, 0, LIMIT_COOKIE_SIZE),
	BLOB(RANGE_START, range_start, 0, LIMIT_BLOB_SIZE),
	BLOB(STRIPE, stripe, 0, LIMIT_BLOB_SIZE),
	NUMBER(LINK_NUMBER, 8, link_number, 0, UINT64_MAX),
	BLOB(PARENT_ADDR, parent_addr, 0, LIMIT_BLOB_SIZE),
	NUMBER(GAP_FROM, 8, gap.from, 0, UINT64_MAX),
	NUMBER(GAP_TO, 8, gap.to, 0, UINT64_MAX),
};

const struct param *
wire_param_find(uint16_t type)
{
	switch (type) {
#define X(name, value) \
	case value:    \
		return &wire_params[PRESENT_INDEX_##name];
		MESSAGE_PARAMS(X)
#undef X
	default:
		return NULL;
	}
}

bool
wire_param_allows(const struct param *param, uint64_t value)
{
	if (param->kind == KIND_FLAGS)
		return (value & ~param->max) == 0;
	if (param->kind == KIND_POWER && !wire_is_block_size(value))
		return false;
	return value >= param->min && value <= param->max;
}

bool
wire_opcode_is_known(unsigned opcode)
{
	switch (opcode) {
#define X(name, value) case value:
		MESSAGE_OPCODES(X)
#undef X
		return true;
	default:
		return false;
	}
}
