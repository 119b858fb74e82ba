// SPDX-License-Identifier: MIT
#include "tests/fuzz/mutate.h"

#include <string.h>

// An input that is being changed.
struct text {
	uint8_t *bytes;
	size_t size, room;
	const uint8_t *other;
	size_t other_size;
};

// splitmix64
uint64_t
mutate_below(uint64_t *seed, uint64_t limit)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	z ^= z >> 31;
	return limit == 0 ? z : z % limit;
}

// A place where an element begins, or the end.
static size_t
border(uint64_t *seed, size_t size)
{
	return mutate_below(seed, size / fuzz_element_align + 1) * fuzz_element_align;
}

// Put ${size} bytes at ${at}, which is at most text->size, as far as there is room. The bytes are not part of the text.
static void
insert(struct text *text, size_t at, const uint8_t *bytes, size_t size)
{
	if (size > text->room - text->size)
		return;
	memmove(text->bytes + at + size, text->bytes + at, text->size - at);
	memcpy(text->bytes + at, bytes, size);
	text->size += size;
}

static void
flip_bit(struct text *text, uint64_t *seed)
{
	text->bytes[mutate_below(seed, text->size)] ^= (uint8_t)(1 << mutate_below(seed, 8));
}

static void
set_byte(struct text *text, uint64_t *seed)
{
	static const uint8_t values[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 0x20, 0x40, 0x7f, 0x80, 0xc0, 0xfe, 0xff};
	size_t at = mutate_below(seed, text->size);

	text->bytes[at] =
		mutate_below(seed, 2) ? values[mutate_below(seed, sizeof(values))] : (uint8_t)mutate_below(seed, 256);
}

static void
add_to_byte(struct text *text, uint64_t *seed)
{
	text->bytes[mutate_below(seed, text->size)] += (uint8_t)(mutate_below(seed, 9) - 4);
}

static void
insert_element(struct text *text, uint64_t *seed)
{
	uint8_t element[2048];
	size_t size = fuzz_element(seed, element, sizeof(element));

	insert(text, border(seed, text->size), element, size);
}

static void
erase(struct text *text, uint64_t *seed)
{
	size_t from = border(seed, text->size), to = border(seed, text->size), size;

	if (from > to) {
		size = from;
		from = to;
		to = size;
	}
	if (to - from > text->size / 2) // rather a little than much
		to = from + fuzz_element_align;
	if (to > text->size)
		to = text->size;
	memmove(text->bytes + from, text->bytes + to, text->size - to);
	text->size -= to - from;
}

// A piece of the text, or of the other one, again somewhere else.
static void
copy(struct text *text, uint64_t *seed)
{
	uint8_t piece[1024];
	const uint8_t *source = mutate_below(seed, 2) && text->other_size > 0 ? text->other : text->bytes;
	size_t source_size = source == text->other ? text->other_size : text->size;
	size_t from = border(seed, source_size), size = (1 + mutate_below(seed, 8)) * fuzz_element_align;

	if (from >= source_size)
		return;
	if (size > source_size - from)
		size = source_size - from;
	if (size > sizeof(piece))
		size = sizeof(piece);
	memcpy(piece, source + from, size);
	insert(text, border(seed, text->size), piece, size);
}

// The end of the other text behind the beginning of this one.
static void
splice(struct text *text, uint64_t *seed)
{
	size_t from = border(seed, text->other_size), at = border(seed, text->size);

	if (at > text->size || from >= text->other_size || text->other_size - from > text->room - at)
		return;
	text->size = at;
	insert(text, at, text->other + from, text->other_size - from);
}

static void
swap(struct text *text, uint64_t *seed)
{
	size_t a = border(seed, text->size), b = border(seed, text->size);

	for (size_t i = 0; i < fuzz_element_align && a + i < text->size && b + i < text->size; i++) {
		uint8_t byte = text->bytes[a + i];

		text->bytes[a + i] = text->bytes[b + i];
		text->bytes[b + i] = byte;
	}
}

size_t
mutate(uint64_t *seed, uint8_t *bytes, size_t size, size_t room, const uint8_t *other, size_t other_size)
{
	static void (*const ways[])(struct text *, uint64_t *) = {
		flip_bit,       set_byte, set_byte, add_to_byte, insert_element, insert_element,
		insert_element, erase,    copy,     splice,      swap,
	};
	struct text text = {bytes, size, room, other, other_size};
	uint64_t rounds = 1 + mutate_below(seed, 1 + mutate_below(seed, 12));

	while (rounds-- > 0) {
		if (text.size == 0)
			text.bytes[text.size++] = 0;
		ways[mutate_below(seed, sizeof(ways) / sizeof(ways[0]))](&text, seed);
	}
	if (text.size == 0)
		text.bytes[text.size++] = 0;
	return text.size;
}
