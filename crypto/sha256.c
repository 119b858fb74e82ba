// SPDX-License-Identifier: MIT
// The instructions (x86: SHA-NI) do two rounds each, and want the state as two registers: words A B E F and C D G H.
// Four rounds take four words of the message; from the sixteen of a block those of the later rounds follow, each four
// from the four fours before. Lanes have nothing to do with each other, so that the processor works on both in turn.
#include "crypto/sha256.h"

#include "core/check.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *openssl_sha256; // looked up once: that costs more than a small message

#if defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>

#define WITH_SHA __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE __attribute__((always_inline)) static inline

enum { BLOCK_SIZE = 64, LANES_MAX = 2, LENGTH_SIZE = 8 };

static bool has_instructions;

static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

struct lane {
	__m128i abef, cdgh;
	__m128i words[4]; // sixteen, of which the oldest four are used and replaced
};

static void
look_for_instructions(void)
{
	unsigned a, b, c, d;
	bool has_sse = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_1) != 0 && (c & bit_SSSE3) != 0;

	has_instructions = has_sse && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

// Rounds 4 * ${i} and the three after it.
WITH_SHA INLINE void
four_rounds(struct lane *lane, const unsigned i)
{
	__m128i *words = lane->words;
	__m128i sum = _mm_add_epi32(words[i % 4], _mm_loadu_si128((const __m128i *)&round_constants[4 * i]));

	lane->cdgh = _mm_sha256rnds2_epu32(lane->cdgh, lane->abef, sum);
	lane->abef = _mm_sha256rnds2_epu32(lane->abef, lane->cdgh, _mm_shuffle_epi32(sum, 0x0e));
	if (i >= 12)
		return; // no round needs more words
	words[i % 4] = _mm_sha256msg1_epu32(words[i % 4], words[(i + 1) % 4]);
	words[i % 4] = _mm_add_epi32(words[i % 4], _mm_alignr_epi8(words[(i + 3) % 4], words[(i + 2) % 4], 4));
	words[i % 4] = _mm_sha256msg2_epu32(words[i % 4], words[(i + 3) % 4]);
}

WITH_SHA INLINE void
load(struct lane *lane, const uint8_t *block)
{
	const __m128i to_big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);

	for (int i = 0; i < 4; i++)
		lane->words[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)block + i), to_big_endian);
}

// ${count} blocks of each lane.
WITH_SHA INLINE void
compress(struct lane *lanes, const int lane_count, const uint8_t *const bytes[], size_t count)
{
	struct lane now[LANES_MAX];

	memcpy(now, lanes, (size_t)lane_count * sizeof(*now));
	for (size_t block = 0; block < count; block++) {
		__m128i abef[LANES_MAX], cdgh[LANES_MAX];

		for (int i = 0; i < lane_count; i++) {
			load(&now[i], bytes[i] + block * BLOCK_SIZE);
			abef[i] = now[i].abef;
			cdgh[i] = now[i].cdgh;
		}
#define FOUR(i) four_rounds(&now[0], i), lane_count > 1 ? four_rounds(&now[1], i) : (void)0
		FOUR(0), FOUR(1), FOUR(2), FOUR(3), FOUR(4), FOUR(5), FOUR(6), FOUR(7);
		FOUR(8), FOUR(9), FOUR(10), FOUR(11), FOUR(12), FOUR(13), FOUR(14), FOUR(15);
#undef FOUR
		for (int i = 0; i < lane_count; i++) {
			now[i].abef = _mm_add_epi32(now[i].abef, abef[i]);
			now[i].cdgh = _mm_add_epi32(now[i].cdgh, cdgh[i]);
		}
	}
	memcpy(lanes, now, (size_t)lane_count * sizeof(*now));
}

WITH_SHA INLINE void
put_hash(uint8_t ret[SHA256_SIZE], const struct lane *lane)
{
	uint32_t abef[4], cdgh[4];

	memcpy(abef, &lane->abef, sizeof(abef)); // F, E, B, A
	memcpy(cdgh, &lane->cdgh, sizeof(cdgh));
	const uint32_t words[8] = {abef[3], abef[2], cdgh[3], cdgh[2], abef[1], abef[0], cdgh[1], cdgh[0]};
	for (size_t i = 0; i < SHA256_SIZE; i++)
		ret[i] = (uint8_t)(words[i / 4] >> (24 - 8 * (i % 4)));
}

// What is behind the last whole block, a one, zeros, the length: one or two blocks. Returns how many.
INLINE size_t
pad(uint8_t last[2 * BLOCK_SIZE], const uint8_t *rest, size_t rest_size, size_t size)
{
	size_t count = rest_size + 1 + LENGTH_SIZE <= BLOCK_SIZE ? 1 : 2;
	uint64_t bits = (uint64_t)size * 8;

	memset(last, 0, 2 * BLOCK_SIZE);
	memcpy(last, rest, rest_size);
	last[rest_size] = 0x80;
	for (size_t i = 1; i <= LENGTH_SIZE; i++, bits >>= 8)
		last[count * BLOCK_SIZE - i] = (uint8_t)bits;
	return count;
}

WITH_SHA INLINE void
hash_lanes(uint8_t ret[][SHA256_SIZE], const int lane_count, const uint8_t *const bytes[], size_t size)
{
	const size_t rest_size = size % BLOCK_SIZE;
	uint8_t last[LANES_MAX][2 * BLOCK_SIZE];
	const uint8_t *lasts[LANES_MAX];
	struct lane lanes[LANES_MAX];
	size_t last_count = 0;

	for (int i = 0; i < lane_count; i++) {
		lanes[i].abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c);
		lanes[i].cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19);
		last_count = pad(last[i], bytes[i] + (size - rest_size), rest_size, size);
		lasts[i] = last[i];
	}
	compress(lanes, lane_count, bytes, size / BLOCK_SIZE);
	compress(lanes, lane_count, lasts, last_count);
	for (int i = 0; i < lane_count; i++)
		put_hash(ret[i], &lanes[i]);
}

WITH_SHA static void
hash_one(uint8_t ret[SHA256_SIZE], const uint8_t *bytes, size_t size)
{
	hash_lanes((uint8_t(*)[SHA256_SIZE])ret, 1, &bytes, size);
}

WITH_SHA static void
hash_two(uint8_t ret[2][SHA256_SIZE], const uint8_t *const bytes[2], size_t size)
{
	hash_lanes(ret, 2, bytes, size);
}

#else

static const bool has_instructions = false;

static void
look_for_instructions(void)
{
}

static void
hash_one(uint8_t ret[SHA256_SIZE], const uint8_t *bytes, size_t size)
{
	CHECK(false);
}

static void
hash_two(uint8_t ret[2][SHA256_SIZE], const uint8_t *const bytes[2], size_t size)
{
	CHECK(false);
}

#endif

static void
begin(void)
{
	openssl_sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	CHECK(openssl_sha256 != NULL);
	look_for_instructions();
}

void
sha256_openssl(uint8_t ret[SHA256_SIZE], const void *bytes, size_t size)
{
	pthread_once(&once, begin);
	CHECK(EVP_Digest(bytes, size, ret, NULL, openssl_sha256, NULL) == 1);
}

void
sha256(uint8_t ret[SHA256_SIZE], const void *bytes, size_t size)
{
	pthread_once(&once, begin);
	if (has_instructions)
		hash_one(ret, bytes, size);
	else
		sha256_openssl(ret, bytes, size);
}

void
sha256_two(uint8_t ret[2][SHA256_SIZE], const uint8_t *const bytes[2], size_t size)
{
	pthread_once(&once, begin);
	if (has_instructions) {
		hash_two(ret, bytes, size);
		return;
	}
	for (int i = 0; i < 2; i++)
		sha256_openssl(ret[i], bytes[i], size);
}
