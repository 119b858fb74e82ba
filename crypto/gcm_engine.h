// SPDX-License-Identifier: MIT
// What a struct gcm is to who implements one (crypto/gcm.h says what each function is to do).
#ifndef HVFS_CRYPTO_GCM_ENGINE_H
#define HVFS_CRYPTO_GCM_ENGINE_H

#include "crypto/gcm.h"

struct gcm_engine {
	void (*destroy)(struct gcm *gcm);
	void (*set_key)(struct gcm *gcm, const uint8_t *key);
	void (*encrypt)(struct gcm *gcm, const struct gcm_message *message, const uint8_t *plain, size_t size,
			uint8_t *cipher, uint8_t *tag);
	bool (*decrypt)(struct gcm *gcm, const struct gcm_message *message, const uint8_t *cipher, size_t size,
			const uint8_t *tag, uint8_t *plain);
};

struct gcm {
	const struct gcm_engine *engine;
};

#endif
