// SPDX-License-Identifier: MIT
// Who may come in. TCP: with a key, whoever has a key that is listed (TLS, net/handshake); without, everybody who can reach it.
// Unix sockets: this user, root, and users that are listed. What who is in may do is the core's affair.
#include "node/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	REFUSALS_TOLD = 10, // in
	REFUSALS_US = 10 * 1000 * 1000,
	FORBIDDEN_MAX = 64, // peers and volumes
	FORBIDDEN_US = 60 * 1000 * 1000,
};

// ---- The log ----

// Who is refused dials on: the same reason is told once a minute.
static bool
was_told(struct node *node, const char *why, moment_us now)
{
	uint64_t hash = 14695981039346656037u; // FNV-1a: which of a few lines it is
	struct refusal *oldest = &node->refusals[0];

	for (const char *c = why; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 1099511628211u;
	for (size_t i = 0; i < sizeof(node->refusals) / sizeof(*node->refusals); i++) {
		struct refusal *refusal = &node->refusals[i];

		if (refusal->told != 0 && refusal->hash == hash && now - refusal->told < FORBIDDEN_US)
			return true;
		if (refusal->told < oldest->told)
			oldest = refusal;
	}
	*oldest = (struct refusal){hash, now};
	return false;
}

void
node_access_refused(struct node *node, const char *name, const char *why)
{
	moment_us now = node_now();

	if (now - node->refused_since > REFUSALS_US) {
		if (node->refused_hidden > 0)
			log_warnx("%" PRIu32 " more were turned away", node->refused_hidden);
		node->refused_since = now;
		node->refused_told = node->refused_hidden = 0;
	}
	if (was_told(node, why, now)) {
		node->refused_hidden++;
	} else if (node->refused_told < REFUSALS_TOLD) {
		node->refused_told++;
		log_warnx("%s is turned away: %s", name, why);
	} else {
		node->refused_hidden++;
	}
}

struct forbidden {
	struct peer peer;
	char volume[LIMIT_NAME_SIZE + 1];
	moment_us told; // 0: a free place
	uint32_t hidden;
};

// The place for that peer and volume: its own, or the one that was used the longest time ago.
static struct forbidden *
find_forbidden(struct node *node, const struct peer *peer, const char *volume)
{
	struct forbidden *found = NULL;

	if (node->forbidden == NULL)
		node->forbidden = calloc(FORBIDDEN_MAX, sizeof(*node->forbidden));
	CHECK(node->forbidden != NULL);
	for (size_t i = 0; i < FORBIDDEN_MAX; i++) {
		struct forbidden *one = &node->forbidden[i];

		if (one->told != 0 && peer_equal(&one->peer, peer) && strcmp(one->volume, volume) == 0)
			return one;
		if (found == NULL || one->told < found->told)
			found = one;
	}
	*found = (struct forbidden){.peer = *peer};
	snprintf(found->volume, sizeof(found->volume), "%s", volume);
	return found;
}

void
node_access_forbidden(struct node *node, const struct action *action)
{
	const struct node_link *link = node->links[action->link];
	bool connects = action->volume == UINT32_MAX;
	struct forbidden *forbidden;
	struct volume_info info = {.name = action->text};
	char peer[PEER_TEXT_SIZE], again[80];
	moment_us now = node_now();

	if (link == NULL)
		return;
	if (!connects)
		core_volume_info(node->core, action->volume, now, &info);
	// A name that does not exist may be any: those of one peer share a place.
	forbidden = find_forbidden(node, &link->peer, connects ? "" : info.name);
	if (forbidden->told != 0 && now - forbidden->told < FORBIDDEN_US) {
		forbidden->hidden++;
		return;
	}
	peer_print(&link->peer, peer);
	snprintf(again, sizeof(again), forbidden->hidden > 0 ? "; %" PRIu32 " times more since it was told last" : "", forbidden->hidden);
	if (connects)
		log_warnx("child %s, %s, asks for volume %s, to which it has no right%s", link_peer(link->link), peer, info.name, again);
	else
		log_warnx("child %s, %s, sends %s for volume %s, to which it has no right%s", link_peer(link->link), peer, action->text,
			  info.name, again);
	forbidden->told = now;
	forbidden->hidden = 0;
}

// ---- The core ----

uint32_t
node_access_number(struct node *node, const struct peer *peer)
{
	if (peer->kind == PEER_INSECURE)
		return 0;
	for (uint32_t i = 0; i < node->peer_count; i++)
		if (peer_equal(&node->peers[i], peer))
			return i + 1;
	node->peers = realloc(node->peers, (node->peer_count + 1) * sizeof(*node->peers));
	CHECK(node->peers != NULL);
	node->peers[node->peer_count++] = *peer;
	return node->peer_count;
}

// Who may only carry blocks can do no harm to those that are sealed.
static bool
is_sealed(const struct node *node, const char *volume)
{
	for (size_t i = 0; i < node->config.volume_count; i++)
		if (strcmp(node->config.volumes[i].name, volume) == 0)
			return node->config.volumes[i].key != NULL;
	return false;
}

enum right
node_access_right(void *arg, uint32_t slot, const char *volume)
{
	const struct node *node = arg;
	enum right right = node->links[slot] != NULL ? acl_right(node->acl, &node->links[slot]->peer, volume) : RIGHT_NONE;

	if (right != RIGHT_PROXY)
		return right;
	return is_sealed(node, volume) ? RIGHT_WRITE : RIGHT_NONE;
}

// ---- TLS ----

static bool
is_known(void *arg, const struct fingerprint *fingerprint)
{
	const struct node *node = arg;
	struct peer peer = {.kind = PEER_KEY, .key = *fingerprint};

	return acl_knows(node->acl, &peer);
}

static void
accepted(void *arg, int fd, struct ssl_st *ssl, const char *name, const struct fingerprint *fingerprint)
{
	struct peer peer = {.kind = PEER_KEY, .key = *fingerprint};

	node_link_accept(arg, fd, ssl, name, &peer);
}

static void
refused(void *arg, const char *name, const char *why)
{
	node_access_refused(arg, name, why);
}

static void
dialled(void *arg, int fd, struct ssl_st *ssl)
{
	node_parent_dialled(arg, fd, ssl);
}

static void
failed(void *arg, const char *why, bool for_now)
{
	node_parent_not_dialled(arg, why, for_now);
}

static const struct handshake_callbacks handshake_callbacks = {
	.is_known = is_known,
	.accepted = accepted,
	.refused = refused,
	.dialled = dialled,
	.failed = failed,
};

// ---- Connections ----

static bool
is_unix(int fd)
{
	int domain = 0;
	socklen_t size = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

// TLS has an alert for it: here the protocol says that who has dialled has no right, to whatever he would ask for.
static void
refuse_unix(int fd)
{
	struct message message = {
		.opcode = OP_ERR_REPLY, .hops_left = LIMIT_HOPS, .present = PRESENT(STATUS), .status = STATUS_ACCESS_DENIED};
	struct wire_segment segments[2];
	uint8_t scratch[128];

	CHECK(wire_scratch_size(&message) <= sizeof(scratch) && wire_segment_count(&message) <= 2);
	CHECK(wire_encode(&message, LIMIT_BLOCK_SIZE_MIN, scratch, segments) == 1);
	(void)!send(fd, segments[0].bytes, segments[0].size, MSG_NOSIGNAL | MSG_DONTWAIT); // his ears are his affair
	close(fd);
}

static void
accept_unix(struct node *node, int fd, const char *name)
{
	char why[120] = "nobody knows who it is";
	struct peer peer;

	if (peer_of_socket(fd, &peer) == 0 && acl_knows(node->acl, &peer)) {
		node_link_accept(node, fd, NULL, name, &peer);
		return;
	}
	if (peer_of_socket(fd, &peer) == 0)
		snprintf(why, sizeof(why), "uid %u has no right to anything; to let it in: hvfs allow VOLUME uid:%u read-write",
			 (unsigned)peer.uid, (unsigned)peer.uid);
	node_access_refused(node, name, why);
	refuse_unix(fd);
}

void
node_access_accept(struct node *node, int fd, const char *name)
{
	if (is_unix(fd))
		accept_unix(node, fd, name);
	else if (node->handshakes != NULL)
		handshakes_accept(node->handshakes, fd, name);
	else
		node_link_accept(node, fd, NULL, name, &(struct peer){.kind = PEER_INSECURE});
}

// Whoever can write to the directory of a socket can put his own there.
bool
node_access_trusts(const struct node *node, int fd, struct peer *ret, char *why, size_t size)
{
	if (peer_of_socket(fd, ret) != 0) {
		snprintf(why, size, "nobody knows who listens there: %s", strerror(errno));
		return false;
	}
	if (acl_knows(node->acl, ret))
		return true;
	snprintf(why, size, "uid %u listens there, neither this user nor root; to trust it: a line 'uid:%u * read-write' in --acl",
		 (unsigned)ret->uid, (unsigned)ret->uid);
	return false;
}

// ---- Life ----

static bool
has_tcp(const struct node_config *config)
{
	for (size_t i = 0; i < config->listen_count; i++)
		if (!config->listens[i].is_unix)
			return true;
	for (size_t i = 0; i < config->parent_count; i++)
		if (!config->parents[i].is_unix)
			return true;
	return false;
}

int
node_access_init(struct node *node, char *error, size_t error_size)
{
	const struct node_config *config = &node->config;
	char why[5000], text[FINGERPRINT_TEXT_SIZE];

	node->acl = config->acl[0] != '\0' ? acl_file_load(&node->acl_file, config->acl, why, sizeof(why)) : acl_create();
	if (node->acl == NULL) {
		snprintf(error, error_size, "--acl %s", why);
		return -1;
	}
	if (config->key[0] == '\0') {
		if (has_tcp(config))
			log_info("TCP links are plain: neither authenticated nor encrypted; --key FILE makes them TLS");
		return 0;
	}
	node->identity = identity_load(config->key, why, sizeof(why));
	if (node->identity != NULL)
		node->handshakes = handshakes_create(node->base, node->identity, &handshake_callbacks, node, why, sizeof(why));
	if (node->handshakes == NULL) {
		snprintf(error, error_size, "--key %s", why);
		return -1;
	}
	log_info("this node is known as %s", fingerprint_print(identity_fingerprint(node->identity), text));
	return 0;
}

void
node_access_fini(struct node *node)
{
	handshakes_destroy(node->handshakes);
	node->handshakes = NULL;
	identity_destroy(node->identity);
	node->identity = NULL;
	free(node->peers);
	free(node->forbidden);
}
