// SPDX-License-Identifier: MIT
// Writes the seeds of corpus/wire: each opcode as the protocol uses it, and messages that are wrong in one way each.
#include "tests/fuzz/wire_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;
static struct raw raw;

static void
write_file(const char *name, const void *bytes, size_t size)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "wb");
	if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

static void
write_raw(const char *name)
{
	raw_param(&raw, PARAM_END_MSG, NULL, 0);
	write_file(name, raw.bytes, raw.size);
}

static void
write_typical(enum opcode opcode, const char *name)
{
	static struct sample sample;
	uint8_t *bytes;
	size_t size;

	wire_help_typical(&sample, opcode);
	bytes = wire_help_encode(&sample.message, sample.block_size, &size);
	wire_help_drop(&sample.message);
	write_file(name, bytes, size);
	free(bytes);
}

// One file for each known parameter with a value of ${size} bytes of ${fill}.
static void
write_params(const char *prefix, size_t size, uint8_t fill)
{
	static const struct {
		uint16_t type;
		const char *name;
	} types[] = {
#define X(name, value) {value, #name},
		MESSAGE_PARAMS(X)
#undef X
	};
	uint8_t value[64];
	char name[64];

	memset(value, fill, sizeof(value));
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		raw_header(&raw, OP_OK_REPLY, FLAG_PARAMS);
		raw_param(&raw, types[i].type, value, size);
		snprintf(name, sizeof(name), "%s-%s", prefix, types[i].name);
		write_raw(name);
	}
}

static void
write_malformed(void)
{
	static const uint8_t block[1024];

	write_file("bad-http", "GET / HTTP/1.1\r\n\r\n", 18);
	raw_header(&raw, OP_GET, 0xfff8);
	write_file("bad-flags", raw.bytes, raw.size);
	raw_header(&raw, OP_GET, FLAG_PARAMS);
	write_file("bad-no-end", raw.bytes, raw.size);
	write_file("bad-half-header", raw.bytes, 7);
	raw_number(&raw, PARAM_BLOCK_NUM, 1, 8);
	raw_number(&raw, PARAM_BLOCK_NUM, 1, 8);
	write_raw("bad-twice");
	raw_header(&raw, OP_GET, FLAG_PARAMS);
	raw_number(&raw, 0x7fff, 1, 8);
	write_raw("bad-unknown-param");
	raw_header(&raw, OP_GET, FLAG_PARAMS);
	raw_number(&raw, 0xffff, 1, 8);
	write_raw("optional-param");
	raw_header(&raw, OP_GET, FLAG_PARAMS);
	raw_number(&raw, PARAM_END_MSG, 1, 4);
	write_file("bad-end-with-value", raw.bytes, raw.size);
	raw_header(&raw, OP_PUT, FLAG_PARAMS);
	raw_param(&raw, PARAM_DATA, block, 512);
	write_raw("bad-data-without-block");
	raw_header(&raw, OP_PUT, FLAG_PARAMS);
	raw_number(&raw, PARAM_BLOCK_NUM, 1, 8);
	raw_number(&raw, PARAM_BLOCK_COUNT, 2, 4);
	raw_param(&raw, PARAM_DATA, block, 512);
	raw_param(&raw, PARAM_DATA, block, 1024);
	write_raw("bad-two-block-sizes");
	raw_header(&raw, OP_PUT, FLAG_PARAMS);
	raw_number(&raw, PARAM_BLOCK_NUM, (UINT64_C(1) << 48) - 1, 8);
	raw_number(&raw, PARAM_BLOCK_COUNT, 2, 4);
	write_raw("bad-run-beyond-end");
	raw_header(&raw, OP_PUT, FLAG_PARAMS);
	raw_number(&raw, PARAM_BLOCK_NUM, 1, 8);
	raw_number(&raw, PARAM_BLOCK_COUNT, 2, 4);
	raw_number(&raw, PARAM_ZERO_RUN, 0xffffffff, 4);
	write_raw("bad-zero-run");
	raw_header(&raw, OP_PUT, FLAG_PARAMS);
	raw_number(&raw, PARAM_BLOCK_NUM, 1, 8);
	raw_number(&raw, PARAM_VERSION, 1, 8);
	write_raw("bad-version-alone");
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	folder = argv[1];
#define X(name, value) write_typical(OP_##name, #name);
	MESSAGE_OPCODES(X)
#undef X
	write_params("bad-length", 3, 0x11);
	write_params("ones", 8, 0xff);
	write_params("small", 4, 0x01);
	write_malformed();
	return 0;
}
