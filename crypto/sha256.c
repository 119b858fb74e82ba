// SPDX-License-Identifier: MIT
#include "crypto/sha256.h"

#include "core/check.h"

#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *algorithm; // looked up once: that costs more than a small message

static void
begin(void)
{
	algorithm = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	CHECK(algorithm != NULL);
}

void
sha256(uint8_t ret[SHA256_SIZE], const void *bytes, size_t size)
{
	pthread_once(&once, begin);
	CHECK(EVP_Digest(bytes, size, ret, NULL, algorithm, NULL) == 1);
}
