// SPDX-License-Identifier: MIT
#include "crypto/multi_buffer.h"

#include "core/check.h"
#include "crypto/gcm_engine.h"
#include "crypto/sha256.h"

#include <intel-ipsec-mb.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>

// All lanes take as long as one does: with less than half of them at work a block takes longer than alone.
enum { LANES = 16, LANES_MIN = LANES / 2 };

// ---- The thread's manager ----

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t managers;
static atomic_bool is_disabled;
static char none; // in place of NULL, so that a thread asks once

static void
end_of_thread(void *manager)
{
	if (manager != &none)
		free_mb_mgr(manager);
}

static void
begin(void)
{
	CHECK(pthread_key_create(&managers, end_of_thread) == 0);
}

static IMB_MGR *
create_manager(void)
{
	IMB_MGR *manager = alloc_mb_mgr(0);
	IMB_ARCH arch = IMB_ARCH_NONE;

	if (manager == NULL)
		return NULL;
	init_mb_mgr_auto(manager, &arch);
	if (arch >= IMB_ARCH_AVX512 && imb_get_errno(manager) == 0)
		return manager;
	free_mb_mgr(manager);
	return NULL;
}

static IMB_MGR *
get_manager(void)
{
	void *manager;

	pthread_once(&once, begin);
	manager = pthread_getspecific(managers);
	if (manager == NULL) {
		manager = is_disabled ? NULL : create_manager();
		if (manager == NULL)
			manager = &none;
		CHECK(pthread_setspecific(managers, manager) == 0);
	}
	return manager != &none ? manager : NULL;
}

void
multi_buffer_disable(void)
{
	is_disabled = true;
}

// ---- SHA-256 ----

static void
submit(IMB_MGR *manager, const struct sha256_task *task)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(manager);

	*job = (IMB_JOB){
		.cipher_mode = IMB_CIPHER_NULL,
		.cipher_direction = IMB_DIR_ENCRYPT,
		.chain_order = IMB_ORDER_HASH_CIPHER,
		.hash_alg = IMB_AUTH_SHA_256,
		.src = task->bytes,
		.msg_len_to_hash_in_bytes = task->size,
		.auth_tag_output = task->ret,
		.auth_tag_output_len_in_bytes = SHA256_SIZE,
	};
	for (job = IMB_SUBMIT_JOB(manager); job != NULL; job = IMB_GET_COMPLETED_JOB(manager))
		CHECK(job->status == IMB_STATUS_COMPLETED);
}

size_t
multi_buffer_sha256(const struct sha256_task *tasks, size_t count)
{
	size_t rest = count % LANES, done = rest >= LANES_MIN ? count : count - rest;
	IMB_MGR *manager = done > 0 ? get_manager() : NULL;
	IMB_JOB *job;

	if (manager == NULL)
		return 0;
	for (size_t i = 0; i < done; i++)
		submit(manager, &tasks[i]);
	while ((job = IMB_FLUSH_JOB(manager)) != NULL)
		CHECK(job->status == IMB_STATUS_COMPLETED);
	return done;
}

// ---- AES-256-GCM ----

struct fast_gcm {
	struct gcm gcm;
	IMB_MGR *manager;
	struct gcm_key_data *key; // sodium_malloc: locked, and cleared in the end
};

static void
fast_destroy(struct gcm *gcm)
{
	struct fast_gcm *fast = (struct fast_gcm *)gcm;

	sodium_free(fast->key);
	free(fast);
}

static void
fast_set_key(struct gcm *gcm, const uint8_t *key)
{
	struct fast_gcm *fast = (struct fast_gcm *)gcm;

	IMB_AES256_GCM_PRE(fast->manager, key, fast->key);
}

static void
fast_encrypt(struct gcm *gcm, const struct gcm_message *message, const uint8_t *plain, size_t size, uint8_t *cipher,
	     uint8_t *tag)
{
	struct fast_gcm *fast = (struct fast_gcm *)gcm;
	struct gcm_context_data context;

	IMB_AES256_GCM_ENC(fast->manager, fast->key, &context, cipher, plain, size, message->nonce, message->data,
			   message->data_size, tag, GCM_TAG_SIZE);
	sodium_memzero(&context, sizeof(context));
}

static bool
fast_decrypt(struct gcm *gcm, const struct gcm_message *message, const uint8_t *cipher, size_t size, const uint8_t *tag,
	     uint8_t *plain)
{
	struct fast_gcm *fast = (struct fast_gcm *)gcm;
	struct gcm_context_data context;
	uint8_t right[GCM_TAG_SIZE];
	bool is_right;

	IMB_AES256_GCM_DEC(fast->manager, fast->key, &context, plain, cipher, size, message->nonce, message->data,
			   message->data_size, right, GCM_TAG_SIZE);
	is_right = sodium_memcmp(right, tag, GCM_TAG_SIZE) == 0;
	sodium_memzero(&context, sizeof(context));
	sodium_memzero(right, sizeof(right)); // it would pass for the one that was refused
	return is_right;
}

struct gcm *
multi_buffer_gcm_create(void)
{
	static const struct gcm_engine engine = {fast_destroy, fast_set_key, fast_encrypt, fast_decrypt};
	IMB_MGR *manager = get_manager();
	struct fast_gcm *fast;

	if (manager == NULL)
		return NULL;
	fast = calloc(1, sizeof(*fast));
	CHECK(fast != NULL);
	fast->gcm.engine = &engine;
	fast->manager = manager;
	fast->key = sodium_malloc(sizeof(*fast->key)); // aligned, as the size is a multiple of the alignment
	CHECK(fast->key != NULL);
	return &fast->gcm;
}
