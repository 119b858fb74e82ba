// SPDX-License-Identifier: MIT
#include "core/message.h"

const char *
message_opcode_name(unsigned opcode)
{
	switch (opcode) {
#define X(name, value) \
	case value:    \
		return #name;
		MESSAGE_OPCODES(X)
#undef X
	default:
		return "?";
	}
}

const char *
message_status_text(unsigned status)
{
	switch (status) {
#define X(name, value, text) \
	case value:          \
		return text;
		MESSAGE_STATUSES(X)
#undef X
	default:
		return "unknown status";
	}
}

const char *
message_param_name(unsigned type)
{
	switch (type) {
#define X(name, value) \
	case value:    \
		return #name;
		MESSAGE_PARAMS(X)
#undef X
	default:
		return "?";
	}
}
