// SPDX-License-Identifier: MIT
#include "node/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int
peer_parse(const char *text, struct peer *ret, char *error, size_t error_size)
{
	struct peer peer = {.kind = PEER_KEY};
	unsigned long long uid;
	const char *at;
	size_t digits;

	if (strncmp(text, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX)) == 0) {
		if (fingerprint_parse(text, &peer.key, error, error_size) != 0)
			return -1;
		*ret = peer;
		return 0;
	}
	at = strncmp(text, "uid:", 4) == 0 ? text + 4 : "";
	digits = strspn(at, "0123456789");
	uid = strtoull(digits > 0 && digits <= 10 && at[digits] == '\0' ? at : "-1", NULL, 10);
	if (uid >= UINT32_MAX) {
		snprintf(error, error_size, "'%.80s' is no peer: right would be sha256:HEX (a key's fingerprint) or uid:N (a user of this machine)",
			 text);
		return -1;
	}
	*ret = (struct peer){.kind = PEER_UID, .uid = (uid_t)uid};
	return 0;
}

const char *
peer_print(const struct peer *peer, char text[PEER_TEXT_SIZE])
{
	if (peer->kind == PEER_KEY)
		return fingerprint_print(&peer->key, text);
	if (peer->kind == PEER_UID)
		snprintf(text, PEER_TEXT_SIZE, "uid:%u", (unsigned)peer->uid);
	else
		snprintf(text, PEER_TEXT_SIZE, "insecure");
	return text;
}

bool
peer_equal(const struct peer *left, const struct peer *right)
{
	if (left->kind != right->kind)
		return false;
	if (left->kind == PEER_KEY)
		return fingerprint_equal(&left->key, &right->key);
	return left->kind != PEER_UID || left->uid == right->uid;
}

int
peer_of_socket(int fd, struct peer *ret)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
		return -1;
	*ret = (struct peer){.kind = PEER_UID, .uid = who.uid};
	return 0;
}
