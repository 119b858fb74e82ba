// SPDX-License-Identifier: MIT
// What is wrong is refused, with the STATUS, ERR_PARAM and ERR_VALUE that docs/protocol.md promises.
#include "net/wire.h"
#include "tests/fuzz/wire_help.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct raw raw;
static struct sample sample;
static struct item items[LIMIT_RUN_BLOCKS];
static const uint8_t block[LIMIT_BLOCK_SIZE_MAX + 1];

// Decode in memory that ends with the message, so that the sanitizer sees each byte too many.
static int
decode(const uint8_t *bytes, size_t size, struct message *ret, struct wire_error *ret_error)
{
	uint8_t *copy = malloc(size > 0 ? size : 1);
	int result;

	memset(ret_error, 0, sizeof(*ret_error));
	memcpy(copy, bytes, size);
	result = wire_decode(copy, size, items, ret, ret_error);
	free(copy);
	return result;
}

static void
start(enum opcode opcode)
{
	raw_header(&raw, opcode, FLAG_PARAMS);
}

static void
start_run(uint32_t count)
{
	start(OP_PUT);
	raw_number(&raw, PARAM_BLOCK_NUM, 10, 8);
	raw_number(&raw, PARAM_BLOCK_COUNT, count, 4);
}

// End the message and expect it to be refused; the header is told all the same, and nothing else.
static struct wire_error
refused(enum status status, uint16_t type)
{
	struct wire_error error;
	struct message message, header = {.hops_left = 3, .origin = 0x0a000001, .xid = 0x102};

	raw_param(&raw, PARAM_END_MSG, NULL, 0);
	ck_assert_int_eq(wire_help_split(raw.bytes, raw.size, 0, &error), raw.size);
	ck_assert_int_eq(decode(raw.bytes, raw.size, &message, &error), -1);
	ck_assert_msg(error.status == status && error.param == type, "parameter %s: %s",
		      message_param_name(error.param), message_status_text(error.status));
	header.opcode = raw.bytes[0];
	ck_assert_ptr_null(wire_help_difference(&message, &header, 0));
	return error;
}

static void
refused_value(enum status status, uint16_t type, const void *value, size_t size)
{
	struct wire_error error = refused(status, type);

	ck_assert_uint_eq(error.value_size, size);
	ck_assert_mem_eq(error.value, value, size);
}

static void
refused_number(enum status status, uint16_t type, uint64_t value, size_t size)
{
	struct wire_error error = refused(status, type);
	uint64_t number = 0;

	ck_assert_uint_eq(error.value_size, size);
	for (size_t i = 0; i < size; i++)
		number = number << 8 | error.value[i];
	ck_assert_uint_eq(number, value);
}

static void
taken(void)
{
	struct wire_error error;
	struct message message;

	raw_param(&raw, PARAM_END_MSG, NULL, 0);
	ck_assert_msg(decode(raw.bytes, raw.size, &message, &error) == 0, "parameter %s: %s",
		      message_param_name(error.param), message_status_text(error.status));
}

// Lengths by type, from the document.
static const struct {
	uint16_t type;
	size_t min, max;
} lengths[] = {
	{PARAM_VOLUME_NAME, 1, 255}, {PARAM_VOLUME_ID, 4, 4},
	{PARAM_CONNECT_FLAGS, 1, 4}, {PARAM_BLOCK_NUM, 8, 8},
	{PARAM_PERMISSIONS, 2, 2},   {PARAM_VERIFIER, 1, 384},
	{PARAM_KEY, 0, 4096},        {PARAM_TTL, 4, 4},
	{PARAM_HB_TTL, 4, 4},        {PARAM_STATUS, 2, 2},
	{PARAM_ERR_PARAM, 2, 2},     {PARAM_ERR_VALUE, 0, 64},
	{PARAM_PARENT_ID, 8, 8},     {PARAM_BLOCK_COUNT, 4, 4},
	{PARAM_VERSION, 8, 8},       {PARAM_ZERO_RUN, 4, 4},
	{PARAM_EMPTY_RUN, 4, 4},     {PARAM_GRANT, 8, 8},
	{PARAM_EPOCH, 4, 4},         {PARAM_PROTOCOL, 4, 4},
	{PARAM_NODE_ID, 8, 8},       {PARAM_NODE_NAME, 1, 255},
	{PARAM_SESSION, 8, 8},       {PARAM_PATH, 0, 256},
	{PARAM_CREDITS, 4, 4},       {PARAM_VOLUME_SIZE, 8, 8},
	{PARAM_BLOCK_SIZE, 4, 4},    {PARAM_DIGEST, 0, 4096},
	{PARAM_COOKIE, 0, 32768},    {PARAM_RANGE_START, 0, 4096},
	{PARAM_STRIPE, 0, 4096},     {PARAM_LINK_NUMBER, 8, 8},
	{PARAM_PARENT_ADDR, 0, 4096},
	{PARAM_GAP_FROM, 8, 8},      {PARAM_GAP_TO, 8, 8},
	{PARAM_DATA, 512, 32768},
};
enum { LENGTH_COUNT = sizeof(lengths) / sizeof(lengths[0]) };

// No parameter is without a row, END_MSG aside.
START_TEST(every_parameter_has_a_length)
{
	ck_assert_int_eq(LENGTH_COUNT, PRESENT_COUNT - 1);
}
END_TEST

// A byte too many or too few is BAD_PARAM_LENGTH, and ERR_VALUE begins like the value.
START_TEST(lengths_off_by_one_are_refused)
{
	uint16_t type = lengths[_i].type;
	size_t min = lengths[_i].min, max = lengths[_i].max;

	if (min > 0) {
		start(OP_GET);
		raw_param(&raw, type, block, min - 1);
		refused_value(STATUS_BAD_PARAM_LENGTH, type, block, min - 1 < 64 ? min - 1 : 64);
	}
	start(OP_GET);
	raw_param(&raw, type, block, max + 1);
	refused_value(STATUS_BAD_PARAM_LENGTH, type, block, max + 1 < 64 ? max + 1 : 64);
}
END_TEST

// Both ends of the length are taken; a value of zeros may be refused for its value, or for what must go with it.
START_TEST(lengths_at_the_ends_are_taken)
{
	for (int i = 0; i < 2; i++) {
		struct wire_error error;
		struct message message;

		start(OP_GET);
		raw_param(&raw, lengths[_i].type, block, i ? lengths[_i].max : lengths[_i].min);
		raw_param(&raw, PARAM_END_MSG, NULL, 0);
		if (decode(raw.bytes, raw.size, &message, &error) < 0)
			ck_assert_int_ne(error.status, STATUS_BAD_PARAM_LENGTH);
	}
}
END_TEST

// Lengths between the ends that are no multiple, or no power of two.
START_TEST(lengths_between_are_refused)
{
	start(OP_CONNECT);
	raw_param(&raw, PARAM_PATH, block, 12);
	refused(STATUS_BAD_PARAM_LENGTH, PARAM_PATH);
	start(OP_CONNECT);
	raw_param(&raw, PARAM_PATH, block, 8 * 33); // a node too many
	refused(STATUS_BAD_PARAM_LENGTH, PARAM_PATH);
	start_run(1);
	raw_param(&raw, PARAM_DATA, block, 1536);
	refused(STATUS_BAD_PARAM_LENGTH, PARAM_DATA);
	start_run(1);
	raw_param(&raw, PARAM_DATA, block, 0);
	refused(STATUS_BAD_PARAM_LENGTH, PARAM_DATA);
}
END_TEST

// Values just outside of the range.
static const struct {
	uint16_t type;
	size_t size;
	uint64_t value;
} bad_values[] = {
	{PARAM_BLOCK_NUM, 8, UINT64_C(1) << 48},
	{PARAM_BLOCK_NUM, 8, UINT64_MAX},
	{PARAM_PERMISSIONS, 2, 3},
	{PARAM_PERMISSIONS, 2, 0x100},
	{PARAM_STATUS, 2, 0},
	{PARAM_BLOCK_COUNT, 4, 0},
	{PARAM_BLOCK_COUNT, 4, 2049},
	{PARAM_EPOCH, 4, 1 << 24},
	{PARAM_BLOCK_SIZE, 4, 0},
	{PARAM_BLOCK_SIZE, 4, 256},
	{PARAM_BLOCK_SIZE, 4, 1000},
	{PARAM_BLOCK_SIZE, 4, 65536},
	{PARAM_ZERO_RUN, 4, 0},
	{PARAM_ZERO_RUN, 4, 2049},
	{PARAM_EMPTY_RUN, 4, 0},
	{PARAM_EMPTY_RUN, 4, UINT32_MAX},
};

START_TEST(values_out_of_range_are_refused)
{
	start(OP_GET);
	raw_number(&raw, bad_values[_i].type, bad_values[_i].value, bad_values[_i].size);
	refused_number(STATUS_BAD_PARAM_VALUE, bad_values[_i].type, bad_values[_i].value, bad_values[_i].size);
}
END_TEST

// The last values inside of the range.
START_TEST(values_at_the_ends_are_taken)
{
	start(OP_GET);
	raw_number(&raw, PARAM_BLOCK_NUM, (UINT64_C(1) << 48) - 1, 8);
	raw_number(&raw, PARAM_BLOCK_COUNT, 1, 4);
	raw_number(&raw, PARAM_PERMISSIONS, 2, 2);
	raw_number(&raw, PARAM_STATUS, 0xffff, 2);
	raw_number(&raw, PARAM_EPOCH, 0xffffff, 4);
	raw_number(&raw, PARAM_BLOCK_SIZE, 32768, 4);
	taken();
	start_run(2048);
	raw_number(&raw, PARAM_BLOCK_SIZE, 512, 4);
	raw_number(&raw, PARAM_ZERO_RUN, 2048, 4);
	taken();
}
END_TEST

// Of CONNECT_FLAGS the unknown bits are told, in as many bytes as came.
START_TEST(unknown_connect_flags_are_told)
{
	start(OP_CONNECT);
	raw_number(&raw, PARAM_CONNECT_FLAGS, 0x40001801, 4);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_CONNECT_FLAGS, 0x40001000, 4);
	start(OP_CONNECT);
	raw_number(&raw, PARAM_CONNECT_FLAGS, 0x1fff, 2);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_CONNECT_FLAGS, 0x1000, 2);
}
END_TEST

// No field comes twice.
START_TEST(duplicates_are_refused)
{
	static const uint8_t one[4096] = {[1] = 1, [3] = 1}, power[4] = {0, 0, 2, 0}, run[4] = {0, 0, 0, 1};
	uint16_t type = lengths[_i].type;
	size_t size = lengths[_i].max;
	const uint8_t *value = size == 2 ? one : block; // allowed for all of the type's length, but for these:

	if (type == PARAM_BLOCK_SIZE)
		value = power;
	if (type == PARAM_BLOCK_COUNT)
		value = run;
	if (type == PARAM_VERSION || type == PARAM_VERIFIER || type == PARAM_DATA || type == PARAM_ZERO_RUN || type == PARAM_EMPTY_RUN)
		return; // the parameters of blocks do
	start(OP_GET);
	raw_param(&raw, type, value, size);
	raw_number(&raw, 0x8000, 0, 1);
	raw_param(&raw, type, value, size);
	refused_value(STATUS_BAD_PARAM_VALUE, type, value, size < 64 ? size : 64);
}
END_TEST

// A parameter that is not known, and not optional; the value is told, cut.
START_TEST(unknown_parameters_are_refused)
{
	static const uint16_t types[] = {0x000f, 0x0033, 0x7fff};
	uint8_t value[100];

	memset(value, 0x5a, sizeof(value));
	for (size_t i = 0; i < 3; i++) {
		start(OP_GET);
		raw_param(&raw, types[i], value, sizeof(value));
		refused_value(STATUS_BAD_PARAM_ID, types[i], value, 64);
	}
}
END_TEST

// BLOCK_COUNT and the parameters of blocks go with BLOCK_NUM, a VERSION with a block.
START_TEST(companions_are_missed)
{
	start(OP_GET);
	raw_number(&raw, PARAM_BLOCK_COUNT, 1, 4);
	refused(STATUS_MISSING_PARAM, PARAM_BLOCK_NUM);
	start(OP_FLUSH);
	raw_number(&raw, PARAM_BLOCK_COUNT, 1, 4);
	refused(STATUS_MISSING_PARAM, PARAM_BLOCK_NUM);
	start(OP_PUT);
	raw_param(&raw, PARAM_DATA, block, 512);
	refused(STATUS_MISSING_PARAM, PARAM_BLOCK_NUM);
	start(OP_PUT);
	raw_number(&raw, PARAM_EMPTY_RUN, 1, 4);
	refused(STATUS_MISSING_PARAM, PARAM_BLOCK_NUM);
	start_run(1);
	raw_number(&raw, PARAM_VERSION, 1, 8);
	refused(STATUS_MISSING_PARAM, PARAM_DATA);
	start_run(1);
	raw_number(&raw, PARAM_ZERO_RUN, 1, 4);
	raw_number(&raw, PARAM_VERSION, 1, 8);
	refused(STATUS_MISSING_PARAM, PARAM_DATA);
	start_run(1);
	raw_number(&raw, PARAM_VERSION, 1, 8);
	raw_number(&raw, PARAM_VERSION, 2, 8);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_VERSION, 2, 8);
}
END_TEST

// A verifier is of the one block with content that follows.
START_TEST(verifiers_have_their_block)
{
	start_run(1);
	raw_param(&raw, PARAM_VERIFIER, block, 73);
	refused(STATUS_MISSING_PARAM, PARAM_DATA);
	start_run(1);
	raw_number(&raw, PARAM_ZERO_RUN, 1, 4);
	raw_param(&raw, PARAM_VERIFIER, block, 73);
	refused(STATUS_MISSING_PARAM, PARAM_DATA);
	start_run(1);
	raw_param(&raw, PARAM_VERIFIER, block, 73);
	raw_number(&raw, PARAM_VERSION, 1, 8);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_VERSION, 1, 8);
	start_run(1);
	raw_param(&raw, PARAM_VERIFIER, block, 1);
	raw_param(&raw, PARAM_VERIFIER, block, 2);
	refused_value(STATUS_BAD_PARAM_VALUE, PARAM_VERIFIER, block, 2);
	start_run(1);
	raw_param(&raw, PARAM_VERIFIER, block, 73);
	raw_number(&raw, PARAM_EMPTY_RUN, 1, 4);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_VERIFIER, 1, 4);
	start_run(2);
	raw_param(&raw, PARAM_VERIFIER, block, 73);
	raw_number(&raw, PARAM_ZERO_RUN, 2, 4);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_VERIFIER, 2, 4);
	start_run(2);
	raw_number(&raw, PARAM_VERSION, 1, 8);
	raw_param(&raw, PARAM_VERIFIER, block, 73);
	raw_number(&raw, PARAM_ZERO_RUN, 1, 4);
	raw_param(&raw, PARAM_VERIFIER, block, 384);
	raw_param(&raw, PARAM_DATA, block, 512);
	taken();
}
END_TEST

// As many items as blocks, no more and no fewer.
START_TEST(items_must_match_the_count)
{
	start_run(3);
	raw_param(&raw, PARAM_DATA, block, 512);
	raw_number(&raw, PARAM_ZERO_RUN, 1, 4);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_COUNT, 3, 4);
	start_run(3);
	raw_param(&raw, PARAM_DATA, block, 512);
	raw_number(&raw, PARAM_ZERO_RUN, 3, 4);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_COUNT, 3, 4);
	start_run(3);
	raw_param(&raw, PARAM_DATA, block, 512);
	raw_number(&raw, PARAM_ZERO_RUN, 2, 4);
	taken();
	start(OP_PUT);
	raw_number(&raw, PARAM_BLOCK_NUM, 1, 8);
	raw_number(&raw, PARAM_ZERO_RUN, 2, 4);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_COUNT, 1, 4);
}
END_TEST

// More items than a message may have, in two runs or with one block of bytes more.
START_TEST(items_are_bounded)
{
	start_run(2048);
	raw_number(&raw, PARAM_ZERO_RUN, 2048, 4);
	raw_number(&raw, PARAM_EMPTY_RUN, 1, 4);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_EMPTY_RUN, 1, 4);
	start_run(2048);
	raw_number(&raw, PARAM_ZERO_RUN, 2048, 4);
	raw_param(&raw, PARAM_DATA, block, 512);
	refused(STATUS_TOO_MANY, PARAM_DATA);
}
END_TEST

// A mebibyte of data is taken, a block more is not.
START_TEST(data_is_bounded)
{
	for (uint32_t count = 32; count <= 33; count++) {
		start_run(count);
		for (uint32_t i = 0; i < count; i++)
			raw_param(&raw, PARAM_DATA, block, 32768);
		if (count == 32)
			taken();
	}
	refused(STATUS_TOO_MANY, PARAM_DATA);
}
END_TEST

// The blocks of one message are of one size.
START_TEST(block_sizes_must_agree)
{
	start_run(2);
	raw_param(&raw, PARAM_DATA, block, 512);
	raw_param(&raw, PARAM_DATA, block, 1024);
	refused(STATUS_BAD_PARAM_LENGTH, PARAM_DATA);
}
END_TEST

// A run ends where block numbers end.
START_TEST(run_beyond_the_last_block_is_refused)
{
	start(OP_GET);
	raw_number(&raw, PARAM_BLOCK_NUM, (UINT64_C(1) << 48) - 2, 8);
	raw_number(&raw, PARAM_BLOCK_COUNT, 3, 4);
	refused_number(STATUS_BAD_PARAM_VALUE, PARAM_BLOCK_COUNT, 3, 4);
	start(OP_GET);
	raw_number(&raw, PARAM_BLOCK_NUM, (UINT64_C(1) << 48) - 2, 8);
	raw_number(&raw, PARAM_BLOCK_COUNT, 2, 4);
	taken();
}
END_TEST

// An END_MSG has no value; where it ends is known all the same.
START_TEST(end_with_a_value_is_refused)
{
	struct wire_error error;
	struct message message;

	start(OP_GET);
	raw_number(&raw, PARAM_END_MSG, 0, 2);
	ck_assert_int_eq(wire_help_split(raw.bytes, raw.size, 0, &error), raw.size);
	ck_assert_int_eq(decode(raw.bytes, raw.size, &message, &error), -1);
	ck_assert_int_eq(error.status, STATUS_BAD_PARAM_LENGTH);
	ck_assert_int_eq(error.param, PARAM_END_MSG);
}
END_TEST

// No beginning of a message is one, and none with a byte behind it.
START_TEST(truncated_messages_are_refused)
{
	static const enum opcode opcodes[] = {OP_CONNECT, OP_OK_REPLY,  OP_ERR_REPLY,
					      OP_GET,     OP_HEARTBEAT, OP_GET_COOKIES};
	struct wire_error error;
	struct message message;
	uint8_t *bytes;
	size_t size;

	wire_help_typical(&sample, opcodes[_i]);
	bytes = wire_help_encode(&sample.message, sample.block_size, &size);
	wire_help_drop(&sample.message);
	for (size_t cut = 0; cut < size; cut++) {
		ck_assert_int_eq(wire_help_split(bytes, cut, 0, &error), 0);
		ck_assert_int_eq(decode(bytes, cut, &message, &error), -1);
		ck_assert_int_ne(error.status, STATUS_NONE);
		if (cut >= WIRE_HEADER_SIZE) {
			ck_assert_int_ne(error.status, STATUS_INVALID_HEADER);
			ck_assert_uint_eq(message.xid, 99);
		}
	}
	memcpy(raw.bytes, bytes, size);
	raw.bytes[size] = 0;
	ck_assert_int_eq(decode(raw.bytes, size, &message, &error), 0);
	ck_assert_int_eq(decode(raw.bytes, size + 1, &message, &error), -1);
	free(bytes);
}
END_TEST

static void
header_is_refused(size_t size, const void *value, size_t value_size)
{
	struct wire_splitter splitter = {0};
	struct wire_error error = {0};
	struct message message;

	ck_assert_int_eq(wire_split(&splitter, raw.bytes, size, &error), -1);
	ck_assert_int_eq(error.status, STATUS_INVALID_HEADER);
	ck_assert_int_eq(error.param, 0);
	ck_assert_uint_eq(error.value_size, value_size);
	ck_assert_mem_eq(error.value, value, value_size);
	ck_assert_int_eq(decode(raw.bytes, raw.size, &message, &error), -1);
	ck_assert_int_eq(error.status, STATUS_INVALID_HEADER);
}

// The first byte tells who speaks another protocol; only the fourteen opcodes are taken.
START_TEST(unknown_opcodes_are_refused_at_once)
{
	int known = 0;

	for (int opcode = 0; opcode < 256; opcode++) {
		raw_header(&raw, (uint8_t)opcode, 0);
		if (message_opcode_name((unsigned)opcode)[0] != '?')
			known++;
		else
			header_is_refused(1, &(uint8_t){(uint8_t)opcode}, 1);
	}
	ck_assert_int_eq(known, 14);
}
END_TEST

// An unknown flag is refused when the flags are there, and told.
START_TEST(unknown_flags_are_refused_at_once)
{
	for (int bit = 3; bit < 16; bit++) {
		uint8_t told[2] = {(uint8_t)((1 << bit) >> 8), (1 << bit) & 0xff};

		raw_header(&raw, OP_GET, (uint16_t)(FLAG_PARAMS | 1 << bit));
		header_is_refused(4, told, 2);
	}
}
END_TEST

// A parameter that can not end within the longest message is refused at its head, before its value comes.
START_TEST(too_long_messages_are_refused_early)
{
	static uint8_t filling[65535];
	struct wire_splitter splitter = {0};
	struct wire_error error, cut;

	memset(filling, 1, sizeof(filling)); // no END_MSG in it
	start(OP_PUT);
	while (LIMIT_MESSAGE_SIZE - raw.size > 65535 + 8)
		raw_param(&raw, 0xfffe, filling, 65535);
	ck_assert_int_eq(wire_split(&splitter, raw.bytes, raw.size, &error), 0);
	raw_param(&raw, 0xfffe, filling, LIMIT_MESSAGE_SIZE - raw.size - 7);
	ck_assert_int_eq(wire_split(&splitter, raw.bytes, splitter.scanned + 4, &error), -1);
	ck_assert_int_eq(error.status, STATUS_TOO_MANY);
	ck_assert_int_eq(error.param, 0xfffe);
	ck_assert_uint_eq(error.value_size, 2);
	ck_assert_int_eq(wire_help_split(raw.bytes, raw.size, 2, &cut), -1);
	ck_assert_int_eq(cut.status, STATUS_TOO_MANY);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("wire errors");
	TCase *values = tcase_create("values"), *wholes = tcase_create("wholes");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, values);
	suite_add_tcase(suite, wholes);
	tcase_set_timeout(wholes, 60);
	tcase_add_test(values, every_parameter_has_a_length);
	tcase_add_loop_test(values, lengths_off_by_one_are_refused, 0, LENGTH_COUNT);
	tcase_add_loop_test(values, lengths_at_the_ends_are_taken, 0, LENGTH_COUNT);
	tcase_add_test(values, lengths_between_are_refused);
	tcase_add_loop_test(values, values_out_of_range_are_refused, 0, sizeof(bad_values) / sizeof(bad_values[0]));
	tcase_add_test(values, values_at_the_ends_are_taken);
	tcase_add_test(values, unknown_connect_flags_are_told);
	tcase_add_loop_test(values, duplicates_are_refused, 0, LENGTH_COUNT);
	tcase_add_test(values, unknown_parameters_are_refused);
	tcase_add_test(wholes, companions_are_missed);
	tcase_add_test(wholes, verifiers_have_their_block);
	tcase_add_test(wholes, items_must_match_the_count);
	tcase_add_test(wholes, items_are_bounded);
	tcase_add_test(wholes, data_is_bounded);
	tcase_add_test(wholes, block_sizes_must_agree);
	tcase_add_test(wholes, run_beyond_the_last_block_is_refused);
	tcase_add_test(wholes, end_with_a_value_is_refused);
	tcase_add_loop_test(wholes, truncated_messages_are_refused, 0, 6);
	tcase_add_test(wholes, unknown_opcodes_are_refused_at_once);
	tcase_add_test(wholes, unknown_flags_are_refused_at_once);
	tcase_add_test(wholes, too_long_messages_are_refused_early);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
