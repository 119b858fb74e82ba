// SPDX-License-Identifier: MIT
// The simulator's only source of chance (splitmix64): one seed fixes a whole run, on every machine (integers only).
#ifndef HVFS_TESTS_SIM_RNG_H
#define HVFS_TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t state;
};

// The next 64 bits.
static inline uint64_t
rng_next(struct rng *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

// 0 to ${count} - 1; 0 when ${count} is 0.
static inline uint64_t
rng_below(struct rng *rng, uint64_t count)
{
	return count == 0 ? 0 : rng_next(rng) % count;
}

// ${low} to ${high}, both included.
static inline uint64_t
rng_between(struct rng *rng, uint64_t low, uint64_t high)
{
	return low + rng_below(rng, high - low + 1);
}

// True in ${percent} of 100 cases.
static inline bool
rng_chance(struct rng *rng, unsigned percent)
{
	return rng_below(rng, 100) < percent;
}

// Exponentially distributed around ${mean}, cut at eight times the mean. The logarithm is taken piecewise linear:
// leading zeros count the whole powers of two, the bits behind them the rest.
static inline uint64_t
rng_exponential(struct rng *rng, uint64_t mean)
{
	uint64_t bits = rng_next(rng) | 1;
	unsigned zeros = (unsigned)__builtin_clzll(bits);
	uint64_t rest = zeros == 63 ? 0 : bits << (zeros + 1) >> 54; // 10 bits
	uint64_t log2_q10 = ((uint64_t)zeros + 1) * 1024 - rest;
	uint64_t value = mean * log2_q10 / 1024 * 710 / 1024;

	return value > 8 * mean ? 8 * mean : value;
}

#endif
