// SPDX-License-Identifier: MIT
// Chains, names and dates of certificates are not looked at: instead of OpenSSL's verification there is one question, about the
// fingerprint of the key in the peer's certificate. That the peer has the private key is what the handshake itself proves.
//
// With TLS 1.3 who dials is through with the handshake before the other end has seen its certificate: that it was refused comes
// with its first read, as an alert. A refusal is "bad certificate", in either direction, and nothing else here is.
#include "net/tls.h"

#include "crypto/identity.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	CERTIFICATES_SIZE_MAX = 4096, // what a peer may send before it is known
	ALERT_REFUSED = SSL_AD_REASON_OFFSET + SSL_AD_BAD_CERTIFICATE,
	ALERT_NO_KEY = SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED,
};

struct tls {
	SSL_CTX *context;
	struct fingerprint own;
};

// OpenSSL asks this instead of verifying a chain.
static int
verify(X509_STORE_CTX *store, void *unused)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_question *question = SSL_get_app_data(ssl);
	X509 *certificate = X509_STORE_CTX_get0_cert(store);
	EVP_PKEY *key = certificate != NULL ? X509_get0_pubkey(certificate) : NULL;

	X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED); // the alert that is sent: bad certificate
	if (question == NULL || key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519 ||
	    fingerprint_of_key(key, &question->peer) != 0)
		return 0;
	question->asked = true;
	if (!question->is_right(question->arg, &question->peer))
		return 0;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static int
configure(SSL_CTX *context, const struct identity *identity)
{
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(context, verify, NULL);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_max_cert_list(context, CERTIFICATES_SIZE_MAX);
	SSL_CTX_set_read_ahead(context, 1); // a record in one system call
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
			       SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
			       SSL_CTX_set_num_tickets(context, 0) == 1 && SSL_CTX_set_max_early_data(context, 0) == 1 &&
			       SSL_CTX_set1_sigalgs_list(context, "ed25519") == 1 &&
			       SSL_CTX_use_certificate(context, identity_certificate(identity)) == 1 &&
			       SSL_CTX_use_PrivateKey(context, identity_key(identity)) == 1
		       ? 0
		       : -1;
}

struct tls *
tls_create(const struct identity *identity, char *error, size_t error_size)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (tls != NULL)
		tls->context = SSL_CTX_new(TLS_method());
	if (tls == NULL || tls->context == NULL || configure(tls->context, identity) != 0) {
		char reason[128];

		ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
		ERR_clear_error();
		snprintf(error, error_size, "OpenSSL does not do TLS 1.3 with Ed25519 here: %s", reason);
		tls_destroy(tls);
		return NULL;
	}
	tls->own = *identity_fingerprint(identity);
	SSL_CTX_set_app_data(tls->context, tls);
	return tls;
}

void
tls_destroy(struct tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

struct ssl_st *
tls_session(struct tls *tls, int fd, bool dials, struct tls_question *question)
{
	SSL *ssl = SSL_new(tls->context);

	if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		ERR_clear_error();
		return NULL;
	}
	question->asked = false;
	SSL_set_app_data(ssl, question);
	if (dials)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	return ssl;
}

void
tls_forget_question(struct ssl_st *ssl)
{
	SSL_set_app_data(ssl, NULL);
}

// ---- Why something failed ----

static void
describe_refusal(struct ssl_st *ssl, char *ret, size_t size)
{
	const struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	char own[FINGERPRINT_TEXT_SIZE];

	fingerprint_print(&tls->own, own);
	if (SSL_is_server(ssl))
		snprintf(ret, size, "it expects another key here than this node's, %s: its --parent names the wrong one", own);
	else
		snprintf(ret, size, "it does not know this node's key, %s; to let it in, there: hvfs allow VOLUME %s read-write", own, own);
}

// ${code} is OpenSSL's.
static enum tls_refusal
describe_reason(struct ssl_st *ssl, unsigned long code, const char *what, char *ret, size_t size)
{
	const char *text = ERR_reason_error_string(code);

	switch (ERR_GET_REASON(code)) {
	case ALERT_REFUSED:
		describe_refusal(ssl, ret, size);
		return REFUSAL_OF_KEY;
	case ALERT_NO_KEY:
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		snprintf(ret, size, "no key was shown: who dials has to have one (--key)");
		return REFUSAL_USELESS;
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_RECORD_LENGTH_MISMATCH:
		snprintf(ret, size, "it does not speak TLS: it is no hvfs, or has no --key");
		return REFUSAL_USELESS;
	case SSL_R_UNEXPECTED_EOF_WHILE_READING:
		snprintf(ret, size, "the connection was cut, without a good-bye of the peer's TLS");
		return REFUSAL_NONE;
	default:
		snprintf(ret, size, "%s failed: TLS: %s", what, text != NULL ? text : "for an unknown reason");
		return REFUSAL_NONE;
	}
}

enum tls_refusal
tls_describe(struct ssl_st *ssl, int error, int sys_errno, const char *what, char *ret, size_t size)
{
	unsigned long code = ERR_peek_error();
	enum tls_refusal refusal = REFUSAL_NONE;

	if (code != 0)
		refusal = describe_reason(ssl, code, what, ret, size);
	else if (error == SSL_ERROR_SYSCALL && sys_errno != 0)
		snprintf(ret, size, "%s failed: %s", what, strerror(sys_errno));
	else
		snprintf(ret, size, "%s failed: the connection was cut", what);
	ERR_clear_error();
	return refusal;
}
