// SPDX-License-Identifier: MIT
// Intel's Multi-Buffer Crypto for IPsec library, where it was built with and the processor has AVX-512: there it hashes
// sixteen blocks side by side, and encrypts one three times as fast as OpenSSL 3.0. Elsewhere it gains nothing, and is
// not used.
#ifndef HVFS_CRYPTO_MULTI_BUFFER_H
#define HVFS_CRYPTO_MULTI_BUFFER_H

#include <stddef.h>

struct gcm;
struct sha256_task;

// As sha256_all(). Returns how many it has done, from the first one on: those that are worth it.
size_t multi_buffer_sha256(const struct sha256_task *tasks, size_t count);

// As gcm_create(). NULL: it is not to be used here.
struct gcm *multi_buffer_gcm_create(void);

// For tests: threads that have not used it yet do not from now on.
void multi_buffer_disable(void);

#endif
