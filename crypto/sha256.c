// SPDX-License-Identifier: MIT
#include "crypto/sha256.h"

#include "core/check.h"
#include "crypto/multi_buffer.h"

#include <openssl/evp.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts; // of each thread: to make one costs as much as a small message. It ends with the thread
static EVP_MD *algorithm;      // looked up once, for the same reason

static void
end_of_thread(void *context)
{
	EVP_MD_CTX_free(context);
}

static void
begin(void)
{
	algorithm = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	CHECK(algorithm != NULL && pthread_key_create(&contexts, end_of_thread) == 0);
}

static EVP_MD_CTX *
context_get(void)
{
	EVP_MD_CTX *context;

	pthread_once(&once, begin);
	context = pthread_getspecific(contexts);
	if (context != NULL)
		return context;
	context = EVP_MD_CTX_new();
	CHECK(context != NULL && EVP_DigestInit_ex2(context, algorithm, NULL) == 1);
	CHECK(pthread_setspecific(contexts, context) == 0);
	return context;
}

void
sha256(uint8_t ret[SHA256_SIZE], const void *bytes, size_t size)
{
	EVP_MD_CTX *context = context_get();

	CHECK(EVP_DigestInit_ex2(context, NULL, NULL) == 1);
	CHECK(EVP_DigestUpdate(context, bytes, size) == 1);
	CHECK(EVP_DigestFinal_ex(context, ret, NULL) == 1);
}

void
sha256_all(const struct sha256_task *tasks, size_t count)
{
	for (size_t i = multi_buffer_sha256(tasks, count); i < count; i++)
		sha256(tasks[i].ret, tasks[i].bytes, tasks[i].size);
}
