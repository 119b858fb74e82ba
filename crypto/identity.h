// SPDX-License-Identifier: MIT
// Who a node is: an Ed25519 key in a PEM file that only its owner can read. Nothing else about the node is in it, nor in the
// certificate that is made of it: who has the key is the node.
#ifndef HVFS_CRYPTO_IDENTITY_H
#define HVFS_CRYPTO_IDENTITY_H

#include "crypto/fingerprint.h"

struct evp_pkey_st;
struct identity;
struct x509_st;

// Make a new key in the new file ${path}, mode 0600, and on stable storage. What is there already is never replaced. Returns 0
// with its fingerprint, or -1 and a sentence; then there is no new file.
int identity_create(const char *path, struct fingerprint *ret, char *error, size_t error_size);

// Read the key of ${path}, which has to belong to this user, and to be closed to its group and to others. Returns NULL and a
// sentence that names the file and what would be right.
struct identity *identity_load(const char *path, char *error, size_t error_size);
void identity_destroy(struct identity *identity);

// By which others know it. Valid as long as ${identity}.
const struct fingerprint *identity_fingerprint(const struct identity *identity);

// The key, and a certificate that it has signed itself, without a name, for ever: TLS wants one. Both are borrowed.
struct evp_pkey_st *identity_key(const struct identity *identity);
struct x509_st *identity_certificate(const struct identity *identity);

#endif
