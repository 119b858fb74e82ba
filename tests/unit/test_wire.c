// SPDX-License-Identifier: MIT
// What is right goes through: golden bytes, round trips, and messages that arrive in pieces. What is wrong is in
// test_wire_errors.c.
#include "net/wire.h"
#include "tests/fuzz/wire_help.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct sample sample;
static struct raw raw;
static struct item items[LIMIT_RUN_BLOCKS];

static const enum opcode opcodes[] = {
#define X(name, value) OP_##name,
	MESSAGE_OPCODES(X)
#undef X
};
enum { OPCODE_COUNT = sizeof(opcodes) / sizeof(opcodes[0]) };

static void
decode(const uint8_t *bytes, size_t size, struct message *ret)
{
	struct wire_error error;
	int result = wire_decode(bytes, size, items, ret, &error);

	ck_assert_msg(result == 0, "refused: %s, parameter %s", message_status_text(error.status),
		      message_param_name(error.param));
}

// The sample is encoded, found whole by the splitter however it arrives, and decoded to itself.
static void
round_trip(uint64_t seed)
{
	struct wire_error error;
	struct message again;
	const char *difference;
	size_t size;
	uint8_t *bytes = wire_help_encode(&sample.message, sample.block_size, &size);

	ck_assert_int_eq(wire_help_split(bytes, size, 0, &error), size);
	ck_assert_int_eq(wire_help_split(bytes, size, seed | 1, &error), size);
	decode(bytes, size, &again);
	difference = wire_help_difference(&sample.message, &again, sample.block_size);
	ck_assert_msg(!difference, "%s is not the same again", difference);
	ck_assert_uint_eq(again.data_size, sample.message.data_size);
	free(bytes);
	wire_help_drop(&sample.message);
}

// A CONNECT, byte by byte as docs/protocol.md has it.
START_TEST(connect_has_the_bytes_of_the_document)
{
	static const uint8_t golden[] = {
		0x01, 0x20, 0x00, 0x02,                         // CONNECT, 32 hops, PARAMS
		0x7f, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x2a, // 127.0.0.1, transaction 42
		0x00, 0x01, 0x00, 0x04, 'd',  'i',  's',  'k',  // VOLUME_NAME
		0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x00, 0x12, // CONNECT_FLAGS: ASYNC_WRITE, READ_ONLY
		0x00, 0x16, 0x00, 0x04, 0x00, 0x00, 0x00, 0x01, // PROTOCOL 1
		0x00, 0x17, 0x00, 0x08, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, // NODE_ID
		0x00, 0x1a, 0x00, 0x10, 0,    0,    0,    0,    0,    0,    0,    0x0b,
		0,    0,    0,    0,    0,    0,    0,    0x0c, // PATH 11, 12
		0x00, 0x00, 0x00, 0x00,                         // END_MSG
	};
	struct message message = {.opcode = OP_CONNECT, .hops_left = 32, .origin = 0x7f000001, .xid = 42};
	struct message again;
	uint8_t *bytes;
	size_t size;

	message.present =
		PRESENT(VOLUME_NAME) | PRESENT(CONNECT_FLAGS) | PRESENT(PROTOCOL) | PRESENT(NODE_ID) | PRESENT(PATH);
	message.volume_name = (struct blob){(const uint8_t *)"disk", 4};
	message.connect_flags = CONNECT_ASYNC_WRITE | CONNECT_READ_ONLY;
	message.protocol = 1;
	message.node_id = 0x0102030405060708;
	message.path_count = 2;
	message.path[0] = 11;
	message.path[1] = 12;
	bytes = wire_help_encode(&message, 0, &size);
	ck_assert_uint_eq(size, sizeof(golden));
	ck_assert_mem_eq(bytes, golden, size);
	decode(golden, sizeof(golden), &again);
	ck_assert_ptr_null(wire_help_difference(&message, &again, 0));
	free(bytes);
}
END_TEST

// The answer to a GET of five blocks: two of bytes and one zero block of version (1, 2), two that hold nothing.
START_TEST(reply_to_get_has_the_bytes_of_the_document)
{
	static const uint8_t head[] = {
		0x03, 0x05, 0x00, 0x02,                                        // OK_REPLY, 5 hops, PARAMS
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00,                // transaction 256
		0x00, 0x02, 0x00, 0x04, 0x00, 0x00, 0x00, 0x07,                // VOLUME_ID 7
		0x00, 0x04, 0x00, 0x08, 0x00, 0x00, 0x80, 0,    0, 0, 0, 0x01, // BLOCK_NUM 2^47 + 1
		0x00, 0x05, 0x00, 0x02, 0x00, 0x01,                            // PERMISSIONS READ
		0x00, 0x09, 0x00, 0x04, 0x00, 0x12, 0x4f, 0x80,                // TTL 1200 s
		0x00, 0x10, 0x00, 0x04, 0x00, 0x00, 0x00, 0x05,                // BLOCK_COUNT 5
		0x00, 0x14, 0x00, 0x08, 0,    0,    0,    0,    0, 0, 0, 0x63, // GRANT 99
		0x00, 0x11, 0x00, 0x08, 0x00, 0x00, 0x01, 0,    0, 0, 0, 0x02, // VERSION epoch 1, counter 2
		0x00, 0x06, 0x02, 0x00,                                        // DATA, 512 bytes
	};
	static const uint8_t between[] = {0x00, 0x06, 0x02, 0x00};
	static const uint8_t tail[] = {
		0x00, 0x12, 0x00, 0x04, 0x00, 0x00, 0x00, 0x01,             // ZERO_RUN of 1
		0x00, 0x11, 0x00, 0x08, 0,    0,    0,    0,    0, 0, 0, 0, // VERSION 0
		0x00, 0x13, 0x00, 0x04, 0x00, 0x00, 0x00, 0x02,             // EMPTY_RUN of 2
		0x00, 0x00, 0x00, 0x00,                                     // END_MSG
	};
	static uint8_t golden[sizeof(head) + 512 + sizeof(between) + 512 + sizeof(tail)];
	struct message message = {.opcode = OP_OK_REPLY, .hops_left = 5, .xid = 256}, again;
	struct item parts[5] = {{.kind = ITEM_DATA}, {.kind = ITEM_DATA}, {.kind = ITEM_ZERO}};
	uint8_t *at = golden, *bytes;
	size_t size;

	at = mempcpy(at, head, sizeof(head));
	at = memset(at, 'a', 512);
	at = mempcpy(at + 512, between, sizeof(between));
	at = memset(at, 'b', 512);
	memcpy(at + 512, tail, sizeof(tail));
	message.present = PRESENT(VOLUME_ID) | PRESENT(BLOCK_NUM) | PRESENT(PERMISSIONS) | PRESENT(TTL) |
			  PRESENT(BLOCK_COUNT) | PRESENT(GRANT);
	message.volume_id = 7;
	message.block = (UINT64_C(1) << 47) + 1;
	message.perm = PERM_READ;
	message.ttl_ms = 1200 * 1000;
	message.count = 5;
	message.grant = 99;
	message.items = parts;
	message.data_size = 512;
	parts[0].bytes = golden + sizeof(head);
	parts[1].bytes = golden + sizeof(head) + 512 + sizeof(between);
	parts[0].version = parts[1].version = parts[2].version = version_make(1, 2);
	wire_help_fill(&message);
	bytes = wire_help_encode(&message, 512, &size);
	ck_assert_uint_eq(size, sizeof(golden));
	ck_assert_mem_eq(bytes, golden, size);
	decode(golden, sizeof(golden), &again);
	ck_assert_ptr_null(wire_help_difference(&message, &again, 512));
	ck_assert_ptr_eq(again.items[0].bytes, parts[0].bytes);
	ck_assert_ptr_eq(again.items[1].bytes, parts[1].bytes);
	wire_help_drop(&message);
	free(bytes);
}
END_TEST

// Without parameters a message is its header.
START_TEST(bare_message_is_its_header)
{
	static const uint8_t golden[] = {0x07, 0x01, 0x00, 0x05, 1, 2, 3, 4, 5, 6, 7, 8};
	struct message message = {.opcode = OP_HEARTBEAT, .hops_left = 1, .origin = 0x01020304, .xid = 0x05060708};
	struct message again;
	uint8_t *bytes;
	size_t size;

	message.flags = FLAG_FORCE_SYNC | FLAG_RECOVERY_OP;
	bytes = wire_help_encode(&message, 0, &size);
	ck_assert_uint_eq(size, sizeof(golden));
	ck_assert_mem_eq(bytes, golden, size);
	decode(golden, sizeof(golden), &again);
	ck_assert_ptr_null(wire_help_difference(&message, &again, 0));
	ck_assert_ptr_null(again.items);
	free(bytes);
}
END_TEST

// Each opcode with the parameters the protocol gives it.
START_TEST(typical_messages_come_back)
{
	wire_help_typical(&sample, opcodes[_i]);
	round_trip(_i);
}
END_TEST

// Any mixture of parameters and items; a failure is repeated by its loop number.
START_TEST(random_messages_come_back)
{
	uint64_t seed = (uint64_t)_i * 1000003;

	for (int i = 0; i < 100; i++) {
		wire_help_random(&sample, &seed);
		round_trip(seed);
	}
}
END_TEST

// CONNECT_FLAGS may be as short as its bits allow.
START_TEST(connect_flags_may_be_short)
{
	struct message message;

	for (size_t size = 1; size <= 4; size++) {
		uint32_t flags = size == 1 ? CONNECT_ALL & 0xff : CONNECT_ALL;

		raw_header(&raw, OP_CONNECT, FLAG_PARAMS);
		raw_number(&raw, PARAM_CONNECT_FLAGS, flags, size);
		raw_param(&raw, PARAM_END_MSG, NULL, 0);
		decode(raw.bytes, raw.size, &message);
		ck_assert_uint_eq(message.connect_flags, flags);
	}
}
END_TEST

// A BLOCK_NUM alone speaks of one block; the order of parameters does not matter.
START_TEST(block_alone_is_a_run_of_one)
{
	struct message message;

	raw_header(&raw, OP_PUT, FLAG_PARAMS);
	raw_number(&raw, PARAM_VERSION, 9, 8);
	raw_number(&raw, PARAM_ZERO_RUN, 1, 4);
	raw_number(&raw, PARAM_BLOCK_NUM, 77, 8);
	raw_param(&raw, PARAM_END_MSG, NULL, 0);
	decode(raw.bytes, raw.size, &message);
	ck_assert_uint_eq(message.block, 77);
	ck_assert_uint_eq(message.count, 1);
	ck_assert_ptr_eq(message.items, items);
	ck_assert_int_eq(items[0].kind, ITEM_ZERO);
	ck_assert_uint_eq(items[0].version, 9);
}
END_TEST

// A FLUSH of the whole volume names no block and speaks of none.
START_TEST(barrier_has_no_blocks)
{
	struct message message;

	raw_header(&raw, OP_FLUSH, FLAG_PARAMS | FLAG_FORCE_SYNC);
	raw_number(&raw, PARAM_VOLUME_ID, 1, 4);
	raw_param(&raw, PARAM_END_MSG, NULL, 0);
	decode(raw.bytes, raw.size, &message);
	ck_assert_uint_eq(message.count, 0);
	ck_assert_int_eq(message.flags, FLAG_FORCE_SYNC);
	ck_assert_ptr_null(message.items);
}
END_TEST

// Optional parameters that are not known are skipped, also twice.
START_TEST(unknown_optional_parameters_are_skipped)
{
	struct message message;

	raw_header(&raw, OP_GET, FLAG_PARAMS);
	raw_number(&raw, 0x8000, 1, 3);
	raw_number(&raw, PARAM_VOLUME_ID, 5, 4);
	raw_param(&raw, 0xffff, NULL, 0);
	raw_param(&raw, 0xffff, NULL, 0);
	raw_param(&raw, PARAM_END_MSG, NULL, 0);
	decode(raw.bytes, raw.size, &message);
	ck_assert_uint_eq(message.present, PRESENT(VOLUME_ID));
	ck_assert_uint_eq(message.volume_id, 5);
}
END_TEST

// A megabyte of blocks is not copied: its segments are the blocks' own bytes (wire_help_encode checks each), with
// nothing but the heads of parameters between.
START_TEST(block_data_is_not_copied)
{
	struct message *message = &sample.message;
	struct wire_segment *segments;
	uint8_t *scratch, text[4096] = "text";
	size_t count;

	memset(&sample, 0, sizeof(sample));
	*message = (struct message){.opcode = OP_PUT, .count = 256, .items = sample.items, .data_size = 4096};
	message->present = PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT);
	for (size_t i = 0; i < 256; i++)
		sample.items[i] = (struct item){.version = 3, .kind = ITEM_DATA, .bytes = text};
	wire_help_fill(message);
	segments = calloc(wire_segment_count(message), sizeof(*segments));
	scratch = malloc(wire_scratch_size(message));
	count = wire_encode(message, 4096, scratch, segments);
	ck_assert_uint_eq(count, 2 * 256 + 1);
	for (size_t i = 1; i < count; i += 2) {
		ck_assert_ptr_eq(segments[i].bytes, buf_bytes(sample.items[i / 2].buf));
		ck_assert_ptr_eq(segments[i].buf, sample.items[i / 2].buf);
		ck_assert_uint_eq(segments[i].size, 4096);
		ck_assert_uint_eq(segments[i + 1].size, 4);
	}
	free(segments);
	free(scratch);
	sample.block_size = 4096;
	round_trip(5);
}
END_TEST

// A run of zeros or of nothing is a number, however long: a new one starts with another version or kind only.
START_TEST(runs_are_numbers)
{
	struct message *message = &sample.message;
	size_t size;

	memset(&sample, 0, sizeof(sample));
	*message = (struct message){.opcode = OP_PUT, .count = LIMIT_RUN_BLOCKS, .items = sample.items};
	message->present = PRESENT(BLOCK_NUM) | PRESENT(BLOCK_COUNT);
	for (size_t i = 0; i < LIMIT_RUN_BLOCKS; i++) {
		sample.items[i].kind = i < 1500 ? ITEM_ZERO : ITEM_EMPTY;
		sample.items[i].version = i < 1000 ? 0 : 8;
	}
	free(wire_help_encode(message, 4096, &size));
	// header, BLOCK_NUM, BLOCK_COUNT; ZERO_RUN, VERSION, ZERO_RUN, EMPTY_RUN; END_MSG
	ck_assert_uint_eq(size, 12 + 12 + 8 + 8 + 12 + 8 + 8 + 4);
	ck_assert_uint_eq(wire_segment_count(message), 1);
	round_trip(1);
}
END_TEST

// The splitter answers "not yet" to each beginning, and never goes back over a parameter that it has passed.
START_TEST(splitter_goes_forward_only)
{
	struct wire_splitter splitter = {0};
	struct wire_error error;
	size_t size, passed = 0;
	uint8_t *bytes;

	wire_help_typical(&sample, OP_PUT);
	bytes = wire_help_encode(&sample.message, sample.block_size, &size);
	for (size_t arrived = 0; arrived < size; arrived++) {
		size_t next = passed == 0 ? 12 : passed + 4 + (bytes[passed + 2] << 8 | bytes[passed + 3]);

		ck_assert_int_eq(wire_split(&splitter, bytes, arrived, &error), 0);
		passed = arrived >= next ? next : passed;
		ck_assert_uint_eq(splitter.scanned, passed);
	}
	ck_assert_int_eq(wire_split(&splitter, bytes, size, &error), size);
	free(bytes);
	wire_help_drop(&sample.message);
}
END_TEST

// What follows a message does not belong to it.
START_TEST(splitter_stops_at_the_end)
{
	struct wire_error error;

	raw_header(&raw, OP_GET, FLAG_PARAMS);
	raw_number(&raw, PARAM_VOLUME_ID, 5, 4);
	raw_param(&raw, PARAM_END_MSG, NULL, 0);
	memset(raw.bytes + raw.size, 0xff, 100);
	ck_assert_int_eq(wire_help_split(raw.bytes, raw.size + 100, 0, &error), raw.size);
	ck_assert_int_eq(wire_help_split(raw.bytes, raw.size + 100, 7, &error), raw.size);
	raw_header(&raw, OP_HEARTBEAT, 0);
	ck_assert_int_eq(wire_help_split(raw.bytes, raw.size + 100, 0, &error), WIRE_HEADER_SIZE);
}
END_TEST

// The longest message there may be.
START_TEST(longest_message_is_taken)
{
	static const uint8_t filling[65535];
	struct wire_error error;
	struct message message;

	raw_header(&raw, OP_PUT, FLAG_PARAMS);
	while (LIMIT_MESSAGE_SIZE - raw.size > 65535 + 8)
		raw_param(&raw, 0xfffe, filling, 65535);
	raw_param(&raw, 0xfffe, filling, LIMIT_MESSAGE_SIZE - raw.size - 8);
	raw_param(&raw, PARAM_END_MSG, NULL, 0);
	ck_assert_uint_eq(raw.size, LIMIT_MESSAGE_SIZE);
	ck_assert_int_eq(wire_help_split(raw.bytes, raw.size, 0, &error), LIMIT_MESSAGE_SIZE);
	ck_assert_int_eq(wire_help_split(raw.bytes, raw.size, 2, &error), LIMIT_MESSAGE_SIZE);
	decode(raw.bytes, raw.size, &message);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("wire");
	TCase *bytes = tcase_create("bytes"), *pieces = tcase_create("pieces");
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, bytes);
	suite_add_tcase(suite, pieces);
	tcase_set_timeout(bytes, 60);
	tcase_add_test(bytes, connect_has_the_bytes_of_the_document);
	tcase_add_test(bytes, reply_to_get_has_the_bytes_of_the_document);
	tcase_add_test(bytes, bare_message_is_its_header);
	tcase_add_loop_test(bytes, typical_messages_come_back, 0, OPCODE_COUNT);
	tcase_add_loop_test(bytes, random_messages_come_back, 0, 20);
	tcase_add_test(bytes, connect_flags_may_be_short);
	tcase_add_test(bytes, block_alone_is_a_run_of_one);
	tcase_add_test(bytes, barrier_has_no_blocks);
	tcase_add_test(bytes, unknown_optional_parameters_are_skipped);
	tcase_add_test(bytes, block_data_is_not_copied);
	tcase_add_test(bytes, runs_are_numbers);
	tcase_add_test(pieces, splitter_goes_forward_only);
	tcase_add_test(pieces, splitter_stops_at_the_end);
	tcase_add_test(pieces, longest_message_is_taken);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
