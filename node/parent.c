// SPDX-License-Identifier: MIT
// Which parent this node has. Where it may go: the parents of the configuration, then the nodes further up that the last
// parent told (protocol.md F3). After a loss the one that broke is tried first, then the node above it, if it has what this one
// has left to it. A parent counts once it has answered CONNECT; one that takes the connection and is silent is given up after
// a while, for the next one.
#include "node/internal.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	PATIENCE_MIN_MS = 250,
	ABSOLUTE_SIZE = sizeof(((struct node *)0)->parent_told),
};

const char *
node_parent_address(const struct node *node)
{
	return node->config.parent_count > 0 ? node->parent_at.text : "";
}

// ${address} as it is right in every directory: our children dial our parent when we are gone.
static void
print_absolute(const struct address *address, char text[ABSOLUTE_SIZE])
{
	char directory[PATH_MAX];

	if (address->is_unix && address->path[0] != '/' && getcwd(directory, sizeof(directory)) != NULL)
		snprintf(text, ABSOLUTE_SIZE, "unix:%s/%s", directory, address->path);
	else if (address->is_unix)
		snprintf(text, ABSOLUTE_SIZE, "unix:%s", address->path);
	else
		snprintf(text, ABSOLUTE_SIZE, "%s", address->text);
}

static bool
is_same(const struct address *left, const struct address *right)
{
	char left_text[ABSOLUTE_SIZE], right_text[ABSOLUTE_SIZE];

	print_absolute(left, left_text);
	print_absolute(right, right_text);
	return strcmp(left_text, right_text) == 0;
}

bool
node_parent_is_other(const struct node *node)
{
	return node->parent != NULL && node->parent->heard && !is_same(&node->parent_at, &node->config.parents[0]);
}

// ---- Where to go ----

static void
candidates_add(struct node *node, const struct address *address)
{
	for (size_t i = 0; i < node->candidate_count; i++)
		if (is_same(&node->candidates[i], address))
			return;
	CHECK(node->candidate_count < CANDIDATES_MAX);
	node->candidates[node->candidate_count++] = *address;
}

// Each address was told by the one before it, from where that is: once one is on another machine, those that can only be
// reached from their own machine are somebody else's.
static void
candidates_add_ancestors(struct node *node, uint32_t most)
{
	bool is_near = address_is_local(&node->parent_at);
	struct address address;
	char why[1024];
	const char *text;

	for (uint32_t i = 0; i < most && (text = core_ancestor_address(node->core, i)) != NULL; i++) {
		if (address_parse(text, &address, why, sizeof(why)) != 0) {
			log_debug("a node further up can not be dialled: %s", why);
			is_near = false;
		} else if (!address.is_unix && address.is_pinned != (node->identity != NULL)) {
			log_debug("a node further up can not be dialled: %s has %s key", text, address.is_pinned ? "a" : "no");
			is_near = is_near && address_is_local(&address);
		} else if (node_config_forbids(&node->config, &address)) {
			log_debug("a node further up can not be dialled: %s is reached by plain TCP, and there is no --insecure", text);
			is_near = false;
		} else if (address_is_local(&address) && !is_near) {
			log_debug("a node further up can not be dialled: %s is an address on another machine", text);
		} else {
			is_near = address_is_local(&address);
			candidates_add(node, &address);
		}
	}
}

static void
look_around(struct node *node)
{
	node->candidate_count = 0;
	node->candidates_tried = node->candidates_denied = 0;
	candidates_add(node, &node->parent_at);
	if (core_needs_ancestor(node->core))
		candidates_add_ancestors(node, 1);
	for (size_t i = 0; i < node->config.parent_count; i++)
		candidates_add(node, &node->config.parents[i]);
	candidates_add_ancestors(node, LIMIT_ANCESTORS);
	dialer_set_addresses(node->dialer, node->candidates, node->candidate_count);
}

// ---- Waiting for the answer to CONNECT ----

// With nobody else to go to there is no hurry.
static uint32_t
patience_ms(const struct node *node)
{
	uint32_t ms = node->candidate_count > 1 ? node->parent_lease_ms / 4 : node->parent_lease_ms;

	return ms > PATIENCE_MIN_MS ? ms : PATIENCE_MIN_MS;
}

static bool
will_connect(const struct node *node)
{
	struct volume_info info;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		core_volume_info(node->core, i, node_now(), &info);
		if (!info.is_root)
			return true;
	}
	return false;
}

// ---- Nobody gives us a right ----

static bool
is_configured(const struct node *node, const struct address *address)
{
	for (size_t i = 0; i < node->config.parent_count; i++)
		if (is_same(&node->config.parents[i], address))
			return true;
	return false;
}

// Each was tried, and each parent of the configuration says so. A node further up that can not be reached may well be out of
// this node's reach.
static bool
all_deny(const struct node *node)
{
	bool any = false;

	for (size_t i = 0; i < node->candidate_count; i++) {
		bool denied = node->candidates_denied >> i & 1;

		any |= denied;
		if (!(node->candidates_tried >> i & 1) || (!denied && is_configured(node, &node->candidates[i])))
			return false;
	}
	return any;
}

static void
deny_all(struct node *node)
{
	struct volume_info info;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		core_volume_info(node->core, i, node_now(), &info);
		if (!info.is_root)
			node_feed(node, &(struct event){.type = EVENT_DENIED, .volume = i});
	}
}

// Is this told for the first time? Nobody wants to read every attempt, but what stands in the way now.
static bool
is_new_fault(struct node *node, const char *why)
{
	char *text;
	size_t size = 0;

	if (node->parent_fault_count == PARENT_FAULTS_TOLD)
		return false;
	text = node->parent_faults[node->parent_fault_count];
	for (; *why != '\0' && size + 1 < sizeof(node->parent_faults[0]); why++)
		if (*why < '0' || *why > '9')
			text[size++] = *why;
	text[size] = '\0';
	for (size_t i = 0; i < node->parent_fault_count; i++)
		if (strcmp(node->parent_faults[i], text) == 0)
			return false;
	node->parent_fault_count++;
	return true;
}

static void
fault(struct node *node, const struct address *address, const char *why, bool denied)
{
	if (is_new_fault(node, why))
		log_warnx("parent %s can not be reached: %s; trying on", address->text, why);
	else
		log_debug("parent %s can not be reached: %s", address->text, why);
	for (size_t i = 0; i < node->candidate_count; i++) {
		uint64_t bit = UINT64_C(1) << i;

		if (!is_same(&node->candidates[i], address))
			continue;
		node->candidates_tried |= bit;
		node->candidates_denied = denied ? node->candidates_denied | bit : node->candidates_denied & ~bit;
	}
	if (all_deny(node))
		deny_all(node);
}

void
node_parent_fault(struct node *node, const char *why, bool denied)
{
	fault(node, &node->parent_at, why, denied);
}

// Does the present parent give us nothing at all?
static bool
gives_nothing(const struct node *node)
{
	struct volume_info info;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		core_volume_info(node->core, i, node_now(), &info);
		if (!info.is_root && !(node->parent->denied >> i & 1))
			return false;
	}
	return node->parent->denied != 0;
}

// Where there are others, they are asked first, unless this one gives other volumes.
void
node_parent_denies(struct node *node, uint32_t volume)
{
	if (node->parent == NULL)
		return;
	node->parent->denied |= UINT64_C(1) << volume;
	if (node->parent->heard || node->candidate_count == 1) {
		node_feed(node, &(struct event){.type = EVENT_DENIED, .volume = volume});
	} else if (gives_nothing(node)) {
		node_parent_fault(node, "this node has no right there any more", true);
		node_link_drop(node->parent);
	}
}

// ---- Patience ----

static void
patience_over(evutil_socket_t fd, short what, void *arg)
{
	struct node *node = arg;
	char why[140];

	if (node->parent == NULL || node->parent->heard || gives_nothing(node))
		return;
	snprintf(why, sizeof(why), "%s within %" PRIu32 " ms",
		 freshness_waits(node->freshness) ? "it has passed on no news of the root of a sealed volume" : "CONNECT was not answered",
		 patience_ms(node));
	node_parent_fault(node, why, false);
	node_link_drop(node->parent);
}

// ---- The dialler ----

static void
link_up(struct node *node, int fd, struct ssl_st *ssl, const struct address *address, const struct peer *peer)
{
	uint32_t patience = patience_ms(node);
	struct timeval timeout = {.tv_sec = patience / 1000, .tv_usec = (suseconds_t)(patience % 1000) * 1000};

	CHECK(node->parent == NULL);
	node->parent = node_link_new(node, fd, ssl, address->text, peer, LINK_PARENT);
	CHECK(node->parent != NULL);
	log_debug("parent %s took the connection", address->text);
	if (will_connect(node))
		evtimer_add(node->parent_patience, &timeout);
	print_absolute(address, node->parent_told);
	node_feed(node, &(struct event){.type = EVENT_LINK_UP,
					.link = node->parent->slot,
					.role = LINK_PARENT,
					.address = node->parent_told});
}

static void
on_connected(void *arg, int fd, const struct address *address)
{
	struct peer peer = {.kind = PEER_INSECURE};
	struct node *node = arg;
	char why[200];

	node->parent_at = *address;
	if (!address->is_unix && node->handshakes != NULL) {
		handshakes_dial(node->handshakes, fd, &address->pin, patience_ms(node));
		return;
	}
	if (!address->is_unix || node_access_trusts(node, fd, &peer, why, sizeof(why))) {
		link_up(node, fd, NULL, address, &peer);
		return;
	}
	close(fd);
	node_parent_not_dialled(node, why, false);
}

void
node_parent_dialled(struct node *node, int fd, struct ssl_st *ssl)
{
	struct peer peer = {.kind = PEER_KEY, .key = node->parent_at.pin};

	link_up(node, fd, ssl, &node->parent_at, &peer);
}

void
node_parent_not_dialled(struct node *node, const char *why, bool for_now)
{
	node_parent_fault(node, why, false);
	if (!for_now)
		node_parent_useless(node, why);
	dialer_start(node->dialer);
}

static void
on_dial_failed(void *arg, const struct address *address, const char *why)
{
	fault(arg, address, why, false);
}

// ---- What the link tells ----

void
node_parent_said(struct node *node, const struct message *message)
{
	if (message->opcode != OP_OK_REPLY)
		return;
	if (message->present & PRESENT(HB_TTL))
		node->parent_lease_ms = message->hb_ttl_ms;
	if (node->parent->heard)
		return;
	node->parent->heard = true;
	node->parent_connections++;
	evtimer_del(node->parent_patience);
	dialer_succeeded(node->dialer);
	dialer_set_timeout(node->dialer, patience_ms(node));
	node->parent_fault_count = 0;
	node->candidates_tried = node->candidates_denied = 0;
	for (size_t i = 0; i < LIMIT_VOLUMES; i++)
		node->volumes[i].denied_told = false;
	log_info("parent %s connected", node->parent_at.text);
	if (node_parent_is_other(node))
		log_warnx("served by %s, not by the first parent of the configuration, %s", node->parent_at.text,
			  node->config.parents[0].text);
}

void
node_parent_useless(struct node *node, const char *why)
{
	for (size_t i = 0; i < node->config.parent_count; i++)
		if (is_same(&node->config.parents[i], &node->parent_at))
			node->useless_parents |= 1u << i;
	if (node->useless_parents == (1u << node->config.parent_count) - 1)
		node_fail(node, "--parent %s: %s", node->parent_at.text, why);
}

void
node_parent_gone(struct node *node, bool was_heard)
{
	evtimer_del(node->parent_patience);
	if (node->left)
		return;
	if (was_heard) {
		node->parent_lost = node_now();
		look_around(node);
		dialer_set_timeout(node->dialer, patience_ms(node));
	}
	dialer_start(node->dialer);
}

// ---- Life ----

int
node_parent_init(struct node *node, char *error, size_t error_size)
{
	if (node->config.parent_count == 0)
		return 0;
	node->parent_at = node->config.parents[0];
	node->parent_lost = node_now();
	node->parent_lease_ms = node->config.hb_ttl_ms;
	for (size_t i = 0; i < node->config.parent_count; i++)
		candidates_add(node, &node->config.parents[i]);
	node->parent_patience = evtimer_new(node->base, patience_over, node);
	node->dialer = dialer_create(node->base, node->config.parents, node->config.parent_count, on_connected,
				     on_dial_failed, node);
	if (node->dialer != NULL && node->parent_patience != NULL)
		return 0;
	snprintf(error, error_size, "out of memory");
	return -1;
}

void
node_parent_start(struct node *node)
{
	if (node->dialer != NULL)
		dialer_start(node->dialer);
}

void
node_parent_fini(struct node *node)
{
	handshakes_cancel_dial(node->handshakes);
	dialer_destroy(node->dialer);
	node->dialer = NULL;
	if (node->parent_patience != NULL)
		event_free(node->parent_patience);
	node->parent_patience = NULL;
}
