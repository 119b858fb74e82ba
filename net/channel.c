// SPDX-License-Identifier: MIT
// TLS speaks in records of up to 16 KiB. A write is gathered into one of them, a read goes on from record to record until the
// buffer is full or the socket is empty: what OpenSSL has taken from the socket and not given out yet makes no descriptor
// readable. Either direction may wait for the other one (an answer to a change of keys is written while reading).
#include "net/channel.h"

#include "core/check.h"
#include "net/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECORD_SIZE = SSL3_RT_MAX_PLAIN_LENGTH };

void
channel_init(struct channel *channel, int fd, struct ssl_st *ssl)
{
	*channel = (struct channel){.fd = fd, .ssl = ssl, .next_read = CHANNEL_DONE};
}

void
channel_close(struct channel *channel)
{
	if (channel->ssl != NULL) {
		ERR_clear_error();
		SSL_shutdown(channel->ssl); // one that has failed says nothing
		ERR_clear_error();
		SSL_free(channel->ssl);
	}
	channel->ssl = NULL;
	close(channel->fd);
	channel->fd = -1;
}

static enum channel_result
fail_errno(struct channel *channel, const char *what)
{
	snprintf(channel->why, sizeof(channel->why), "%s failed: %s", what, strerror(errno));
	return CHANNEL_FAILED;
}

// ---- Plain ----

static size_t
iov_size(const struct iovec *iov, int count)
{
	size_t size = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	return size;
}

static enum channel_result
plain_read(struct channel *channel, const struct iovec *iov, int count, size_t *ret_size, bool *ret_more)
{
	struct msghdr header = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
	ssize_t got = recvmsg(channel->fd, &header, 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return CHANNEL_WAITS;
	if (got < 0)
		return fail_errno(channel, "reading");
	if (got == 0)
		return CHANNEL_ENDED;
	channel->plain_received += (uint64_t)got;
	*ret_size = (size_t)got;
	*ret_more = (size_t)got == iov_size(iov, count);
	return CHANNEL_DONE;
}

static enum channel_result
plain_write(struct channel *channel, const struct iovec *iov, int count, size_t *ret_size)
{
	struct msghdr header = {.msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count};
	ssize_t sent;

	do
		sent = sendmsg(channel->fd, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == EAGAIN)
		return CHANNEL_WAITS;
	if (sent < 0)
		return fail_errno(channel, "writing");
	channel->plain_sent += (uint64_t)sent;
	*ret_size = (size_t)sent;
	return CHANNEL_DONE;
}

// ---- TLS ----

// A TLS operation did nothing. ${result} is what it returned.
static enum channel_result
tls_result(struct channel *channel, int result, const char *what)
{
	int sys_errno = errno, error = SSL_get_error(channel->ssl, result);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return CHANNEL_WAITS;
	if (error == SSL_ERROR_ZERO_RETURN)
		return CHANNEL_ENDED;
	channel->refusal = tls_describe(channel->ssl, error, sys_errno, what, channel->why, sizeof(channel->why));
	return CHANNEL_FAILED;
}

// An operation is judged by what it leaves in the queue of errors, which has to be empty before. To clear one that is takes
// longer than a record's encryption is prepared in.
static void
forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

static enum channel_result
tls_read(struct channel *channel, const struct iovec *iov, int count, size_t *ret_size, bool *ret_more)
{
	enum channel_result result = CHANNEL_DONE;
	size_t used = 0, at = 0;

	if (channel->next_read != CHANNEL_DONE)
		return channel->next_read;
	channel->read_waits_write = false;
	while (count > 0 && result == CHANNEL_DONE) {
		size_t want = iov->iov_len - at < INT_MAX ? iov->iov_len - at : INT_MAX;
		int got;

		forget_errors();
		got = SSL_read(channel->ssl, (uint8_t *)iov->iov_base + at, (int)want);
		if (got <= 0) {
			result = tls_result(channel, got, "reading");
			continue;
		}
		used += (size_t)got;
		at += (size_t)got;
		if (at == iov->iov_len) {
			iov++;
			count--;
			at = 0;
		}
	}
	if (result == CHANNEL_WAITS)
		channel->read_waits_write = SSL_want_write(channel->ssl);
	else
		channel->next_read = result; // there is nothing behind it any more
	if (used == 0)
		return result;
	*ret_size = used;
	*ret_more = result != CHANNEL_WAITS;
	return CHANNEL_DONE;
}

// Up to one record of ${iov} in one piece: where it is, if that is possible.
static const void *
gather(const struct iovec *iov, int count, uint8_t room[RECORD_SIZE], size_t *ret_size)
{
	size_t used = 0;

	if (iov[0].iov_len >= RECORD_SIZE || count == 1) {
		*ret_size = iov[0].iov_len < RECORD_SIZE ? iov[0].iov_len : RECORD_SIZE;
		return iov[0].iov_base;
	}
	for (int i = 0; i < count && used < RECORD_SIZE; i++) {
		size_t size = iov[i].iov_len < RECORD_SIZE - used ? iov[i].iov_len : RECORD_SIZE - used;

		memcpy(room + used, iov[i].iov_base, size);
		used += size;
	}
	*ret_size = used;
	return room;
}

// When a record is on its way OpenSSL takes no notice of what is given again, but for its size: that is the same or more, as
// more may have come behind it.
static enum channel_result
tls_write(struct channel *channel, const struct iovec *iov, int count, size_t *ret_size)
{
	uint8_t room[RECORD_SIZE];
	enum channel_result result;
	const void *bytes;
	size_t size;
	int sent;

	channel->write_waits_read = false;
	bytes = gather(iov, count, room, &size);
	forget_errors();
	sent = SSL_write(channel->ssl, bytes, (int)size);
	if (sent > 0) {
		*ret_size = (size_t)sent;
		return CHANNEL_DONE;
	}
	result = tls_result(channel, sent, "writing");
	if (result == CHANNEL_WAITS)
		channel->write_waits_read = SSL_want_read(channel->ssl);
	if (result != CHANNEL_ENDED)
		return result;
	snprintf(channel->why, sizeof(channel->why), "writing failed: the peer has closed the connection");
	return CHANNEL_FAILED;
}

// ---- Either ----

enum channel_result
channel_read(struct channel *channel, const struct iovec *iov, int count, size_t *ret_size, bool *ret_more)
{
	CHECK(count > 0);
	if (channel->ssl == NULL)
		return plain_read(channel, iov, count, ret_size, ret_more);
	return tls_read(channel, iov, count, ret_size, ret_more);
}

enum channel_result
channel_write(struct channel *channel, const struct iovec *iov, int count, size_t *ret_size)
{
	CHECK(count > 0 && iov[0].iov_len > 0);
	if (channel->ssl == NULL)
		return plain_write(channel, iov, count, ret_size);
	return tls_write(channel, iov, count, ret_size);
}

uint64_t
channel_received(const struct channel *channel)
{
	return channel->ssl == NULL ? channel->plain_received : BIO_number_read(SSL_get_rbio(channel->ssl));
}

uint64_t
channel_sent(const struct channel *channel)
{
	return channel->ssl == NULL ? channel->plain_sent : BIO_number_written(SSL_get_wbio(channel->ssl));
}
