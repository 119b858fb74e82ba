// SPDX-License-Identifier: MIT
// Arbitrary bytes to splitter and decoder. What must hold: the end of a message does not depend on how the bytes
// arrive, what decodes is a whole message, and what decodes, encoded and decoded again, is the same. The receiver, which
// keeps blocks apart, finds the same messages and the same mistakes.
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/wire_help.h"

#include "core/check.h"
#include "net/receiver.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct item items[LIMIT_RUN_BLOCKS], items_again[LIMIT_RUN_BLOCKS];

static void
check_error(const struct wire_error *error)
{
	CHECK(error->status != STATUS_NONE && error->value_size <= LIMIT_ERR_VALUE_SIZE);
	CHECK((error->status == STATUS_INVALID_HEADER) == (error->param == 0) || error->param == PARAM_END_MSG);
}

// Encode ${message}, decode what came out and compare; the second encoding is the same bytes as the first.
static void
check_identity(struct message *message)
{
	struct message again;
	struct wire_error error;
	uint8_t *first, *second;
	size_t first_size, second_size;

	wire_help_fill(message);
	first = wire_help_encode(message, message->data_size, &first_size);
	wire_help_drop(message);
	CHECK(wire_help_split(first, first_size, first_size, &error) == (long)first_size);
	CHECK(wire_decode(first, first_size, items_again, &again, &error) == 0);
	CHECK(again.data_size == message->data_size);
	CHECK(wire_help_difference(message, &again, message->data_size) == NULL);
	wire_help_fill(&again);
	second = wire_help_encode(&again, again.data_size, &second_size);
	wire_help_drop(&again);
	CHECK(first_size == second_size && memcmp(first, second, first_size) == 0);
	free(first);
	free(second);
}

// The message of exactly ${size} bytes, in memory that ends with it.
static int
decode_one(const uint8_t *bytes, size_t size)
{
	struct message message;
	struct wire_error error = {0};
	uint8_t *copy = malloc(size > 0 ? size : 1);
	int result;

	CHECK(copy);
	if (size > 0)
		memcpy(copy, bytes, size);
	result = wire_decode(copy, size, items, &message, &error);
	if (result == 0)
		check_identity(&message);
	else
		check_error(&error);
	free(copy);
	return result;
}

// ---- The receiver ----

struct stream {
	const uint8_t *bytes;
	size_t size;
	bool ended;
};

static struct buf_pool *
stream_pool(void *arg, size_t size)
{
	static struct buf_pool *pools[LIMIT_BLOCK_SIZE_MAX / LIMIT_BLOCK_SIZE_MIN + 1];
	struct buf_pool **pool = &pools[size / LIMIT_BLOCK_SIZE_MIN];

	(void)arg;
	if (*pool == NULL)
		*pool = buf_pool_create(size);
	CHECK(*pool != NULL);
	return *pool;
}

static bool
stream_message(void *arg, const uint8_t *head, size_t size, struct buf *const *blocks)
{
	struct stream *stream = arg;
	struct message message, apart;
	struct wire_error error = {0}, error_apart = {0};
	long end = wire_help_split(stream->bytes, stream->size, 0, &error);
	int result;

	CHECK(end > 0);
	result = wire_decode(stream->bytes, (size_t)end, items, &message, &error);
	CHECK(wire_decode_apart(head, size, blocks, items_again, &apart, &error_apart) == result);
	if (result == 0)
		CHECK(wire_help_difference(&message, &apart, message.data_size) == NULL);
	else
		CHECK(memcmp(&error, &error_apart, sizeof(error)) == 0);
	stream->bytes += end;
	stream->size -= (size_t)end;
	return true;
}

static void
stream_fatal(void *arg, const uint8_t *head, size_t size, const struct wire_error *error)
{
	struct stream *stream = arg;
	struct wire_error wanted = {0};

	(void)head;
	(void)size;
	CHECK(wire_help_split(stream->bytes, stream->size, 0, &wanted) == -1);
	CHECK(memcmp(&wanted, error, sizeof(wanted)) == 0);
	stream->ended = true;
}

// ${bytes} in pieces of pseudo-random size from ${seed} on.
static void
receive(const uint8_t *bytes, size_t size, uint64_t seed)
{
	static uint8_t rest[4096];
	static struct receiver_space space = {.rest = rest, .rest_size = sizeof(rest)};
	struct stream stream = {.bytes = bytes, .size = size};
	const struct receiver_listener listener = {
		.pool = stream_pool, .message = stream_message, .fatal = stream_fatal, .arg = &stream};
	struct receiver receiver = {0};
	struct wire_error error;
	uint64_t piece_max = seed % 2 ? 300 : 20000;

	while (size > 0 && !stream.ended) {
		size_t piece = 1 + wire_help_below(&seed, piece_max), put = 0;

		receiver_prepare(&receiver, &listener, &space);
		piece = piece < size ? piece : size;
		for (int i = 0; i < space.count && put < piece; i++) {
			size_t part = space.iov[i].iov_len < piece - put ? space.iov[i].iov_len : piece - put;

			memcpy(space.iov[i].iov_base, bytes + put, part);
			put += part;
		}
		CHECK(put > 0);
		CHECK(receiver_take(&receiver, &listener, &space, put) == !stream.ended);
		bytes += put;
		size -= put;
	}
	CHECK(stream.ended || stream.size == 0 || wire_help_split(stream.bytes, stream.size, 0, &error) == 0);
	CHECK(stream.ended || receiver_is_within(&receiver) == (stream.size > 0));
	receiver_clear(&receiver);
	for (size_t pool = LIMIT_BLOCK_SIZE_MIN; pool <= LIMIT_BLOCK_SIZE_MAX; pool *= 2)
		CHECK(buf_pool_used(stream_pool(NULL, pool)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	bool first = true;

	for (uint64_t seed = 1; seed <= 2; seed++)
		receive(bytes, size, seed);
	while (size > 0) {
		struct wire_error error = {0}, error_cut = {0};
		long end = wire_help_split(bytes, size, 0, &error);

		CHECK(end <= (long)size && end <= LIMIT_MESSAGE_SIZE);
		for (uint64_t seed = 1; seed <= 2; seed++)
			CHECK(wire_help_split(bytes, size, seed, &error_cut) == end);
		if (end < 0) {
			check_error(&error);
			CHECK(memcmp(&error, &error_cut, sizeof(error)) == 0);
		}
		// The decoder takes whole messages only.
		if (first && end != (long)size)
			CHECK(decode_one(bytes, size) < 0);
		first = false;
		if (end <= 0)
			return 0;
		decode_one(bytes, (size_t)end);
		bytes += end;
		size -= (size_t)end;
	}
	return 0;
}

// ---- For the mutator ----

const size_t fuzz_element_align = 1;

// A message, or a parameter alone.
size_t
fuzz_element(uint64_t *seed, uint8_t *bytes, size_t room)
{
	static struct sample sample;
	size_t size;
	uint8_t *message;

	if (mutate_below(seed, 2)) {
		size_t value_size = mutate_below(seed, 9);

		if (room < WIRE_PARAM_SIZE + value_size)
			return 0;
		bytes[0] = mutate_below(seed, 32) == 0 ? 0x80 : 0;
		bytes[1] = (uint8_t)mutate_below(seed, 0x23);
		bytes[2] = 0;
		bytes[3] = (uint8_t)value_size;
		for (size_t i = 0; i < value_size; i++)
			bytes[WIRE_PARAM_SIZE + i] = (uint8_t)mutate_below(seed, mutate_below(seed, 2) ? 4 : 256);
		return WIRE_PARAM_SIZE + value_size;
	}
	wire_help_random(&sample, seed);
	message = wire_help_encode(&sample.message, sample.block_size, &size);
	wire_help_drop(&sample.message);
	if (size > room)
		size = 0;
	memcpy(bytes, message, size);
	free(message);
	return size;
}
