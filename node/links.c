// SPDX-License-Identifier: MIT
// Links get a slot each: the number by which the core knows them. One slot is kept back for the parent, so that a crowd
// of children can not cut the node off from it.
//
// Block data is copied once here, from the link's receive buffer to a counted buffer that then serves as cache slot,
// reply and message. Blocks of zeros become the zero buffer.
#include "net/channel.h"
#include "node/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// ---- Slots ----

static struct node_link *
slot_take(struct node *node, enum link_role role)
{
	uint32_t reserved = role == LINK_CHILD && node->config.parent_count > 0 ? 1 : 0;
	struct node_link *link;

	if (node->free_count <= reserved)
		return NULL;
	link = calloc(1, sizeof(*link));
	CHECK(link != NULL);
	link->node = node;
	link->role = role;
	link->slot = node->free_slots[--node->free_count];
	node->links[link->slot] = link;
	return link;
}

static void
written_remove(struct node *node, struct node_link *link)
{
	struct node_link **at = &node->written;

	if (!link->written)
		return;
	while (*at != link)
		at = &(*at)->next_written;
	*at = link->next_written;
}

static void
slot_free(struct node_link *link)
{
	struct node *node = link->node;

	written_remove(node, link);
	node->links[link->slot] = NULL;
	node->free_slots[node->free_count++] = link->slot;
	if (node->parent == link)
		node->parent = NULL;
	free(link);
}

// The link is gone: the core learns it, and a parent is dialled again.
static void
link_gone(struct node_link *link)
{
	struct node *node = link->node;
	bool was_parent = link->role == LINK_PARENT, was_heard = link->heard;
	uint32_t slot = link->slot;

	slot_free(link);
	if (was_parent)
		node_parent_gone(node, was_heard); // while the core still knows where else to go
	node_feed(node, &(struct event){.type = EVENT_LINK_DOWN, .link = slot});
}

static const char *
role_name(const struct node_link *link)
{
	return link->role == LINK_PARENT ? "parent" : "child";
}

// ---- What links tell ----

static void
message_take_data(struct node *node, const struct message *message)
{
	struct buf_pool *pool = core_pool(node->core, message->data_size);

	for (uint32_t i = 0; i < message->count; i++) {
		struct item *item = &message->items[i];

		if (item->kind != ITEM_DATA)
			continue;
		if (node_is_zero(item->bytes, message->data_size)) {
			item->buf = buf_zero();
		} else {
			item->buf = buf_alloc(pool);
			memcpy(buf_bytes(item->buf), item->bytes, message->data_size);
		}
	}
}

static void
message_drop_data(const struct message *message)
{
	for (uint32_t i = 0; i < message->count; i++) {
		if (message->items[i].kind == ITEM_DATA)
			buf_unref(message->items[i].buf);
		message->items[i].buf = NULL;
	}
}

// In answer to nothing: this is about whatever this node may ask for.
static bool
says_no_right(const struct message *message)
{
	return message->opcode == OP_ERR_REPLY && message->xid == 0 && message->status == STATUS_ACCESS_DENIED;
}

static void
on_message(void *arg, struct link *unused, const struct message *message)
{
	struct node_link *link = arg;
	struct node *node = link->node;
	bool has_data = message->items != NULL && message->data_size != 0;

	if (link->role == LINK_PARENT && !link->heard && says_no_right(message)) {
		link->unwanted = true;
		return; // it closes the link
	}
	if (link->role == LINK_PARENT)
		node_parent_said(node, message);
	else
		link->heard = true;
	if (has_data)
		message_take_data(node, message);
	node_feed(node, &(struct event){.type = EVENT_MESSAGE, .link = link->slot, .message = message});
	if (has_data)
		message_drop_data(message);
}

static void
reply_malformed(struct node_link *link, const struct message *header, const struct wire_error *error)
{
	struct message reply = {
		.opcode = OP_ERR_REPLY,
		.hops_left = LIMIT_HOPS,
		.xid = header->xid,
		.present = PRESENT(STATUS),
		.status = error->status,
		.err_param = error->param,
		.err_value = {error->value, error->value_size},
	};

	if (error->param != 0)
		reply.present |= PRESENT(ERR_PARAM);
	if (error->value_size > 0)
		reply.present |= PRESENT(ERR_VALUE);
	link_send(link->link, &reply, LIMIT_BLOCK_SIZE_MIN);
	link_flush(link->link);
}

static void
on_malformed(void *arg, struct link *unused, const struct message *header, const struct wire_error *error, bool fatal)
{
	struct node_link *link = arg;
	bool is_reply = header->opcode == OP_OK_REPLY || header->opcode == OP_ERR_REPLY;

	log_warnx("%s %s sent a malformed %s: %s (parameter %s, 0x%04x)%s", role_name(link), link_peer(link->link),
		  message_opcode_name(header->opcode), message_status_text(error->status),
		  error->param != 0 ? message_param_name(error->param) : "none", error->param,
		  fatal ? "; closing the link" : "");
	if (link->role == LINK_PARENT && !link->heard)
		node_parent_useless(link->node, "it does not speak hvfs, or wants TLS (--key)");
	if (!is_reply)
		reply_malformed(link, header, error);
}

static void
on_room(void *arg, struct link *unused)
{
	struct node_link *link = arg;

	node_feed(link->node,
		  &(struct event){.type = EVENT_LINK_ROOM, .link = link->slot, .queued_size = link_queued(link->link)});
}

static void
on_closed(void *arg, struct link *unused, const char *why, enum tls_refusal refusal)
{
	struct node_link *link = arg;
	bool in_vain = link->role == LINK_PARENT && !link->heard;
	char with_hint[500];

	if (link->unwanted)
		snprintf(with_hint, sizeof(with_hint), "it gives uid %u no right to anything; to let it in, there: hvfs allow VOLUME uid:%u read-write",
			 (unsigned)geteuid(), (unsigned)geteuid());
	else if (link->peer.kind == PEER_INSECURE)
		snprintf(with_hint, sizeof(with_hint), "%s before it had answered; does it want TLS (--key)?", why);
	else
		snprintf(with_hint, sizeof(with_hint), "%s", why);
	if (in_vain)
		node_parent_fault(link->node, with_hint, refusal == REFUSAL_OF_KEY || link->unwanted);
	else
		log_info("%s %s is gone: %s", role_name(link), link_peer(link->link), why);
	if (in_vain && (refusal != REFUSAL_NONE || link->unwanted))
		node_parent_useless(link->node, with_hint);
	link_gone(link);
}

static const struct link_callbacks link_callbacks = {
	.message = on_message,
	.malformed = on_malformed,
	.room = on_room,
	.closed = on_closed,
};

// ---- New links ----

struct node_link *
node_link_new(struct node *node, int fd, struct ssl_st *ssl, const char *name, const struct peer *peer, enum link_role role)
{
	struct node_link *link = slot_take(node, role);

	if (link == NULL)
		return NULL;
	link->peer = *peer;
	link->link = link_create_tls(node->base, fd, ssl, name, &link_callbacks, link);
	return link;
}

static uint32_t
count_links(const struct node *node, const struct peer *peer)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < LIMIT_LINKS; slot++)
		count += node->links[slot] != NULL && peer_equal(&node->links[slot]->peer, peer);
	return count;
}

void
node_link_accept(struct node *node, int fd, struct ssl_st *ssl, const char *name, const struct peer *peer)
{
	bool too_many = peer->kind == PEER_KEY && count_links(node, peer) >= LIMIT_LINKS_OF_KEY;
	struct node_link *link = too_many ? NULL : node_link_new(node, fd, ssl, name, peer, LINK_CHILD);
	char text[PEER_TEXT_SIZE], why[160];
	const char *label = acl_label(node->acl, peer);

	if (link == NULL) {
		struct channel channel;

		snprintf(why, sizeof(why), "%d links %s%s are open, no more are allowed", too_many ? LIMIT_LINKS_OF_KEY : LIMIT_LINKS,
			 too_many ? "of " : "", too_many ? peer_print(peer, text) : "");
		node_access_refused(node, name, why);
		channel_init(&channel, fd, ssl);
		channel_close(&channel);
		return;
	}
	log_info("child %s connected as %s%s%s", name, peer_print(peer, text), label[0] != '\0' ? ", " : "", label);
	node_feed(node, &(struct event){.type = EVENT_LINK_UP,
					.link = link->slot,
					.role = LINK_CHILD,
					.peer = node_access_number(node, peer)});
}

static void
on_accepted(void *arg, int fd, const char *name)
{
	node_access_accept(arg, fd, name);
}

// ---- What the core says ----

void
node_link_send(struct node *node, const struct action *action)
{
	struct node_link *link = node->links[action->link];
	size_t block_size = LIMIT_BLOCK_SIZE_MIN; // of a message without data

	if (link == NULL)
		return; // its end is on the way to the core
	if (action->message->items != NULL) {
		struct volume *volume = &node->volumes[action->volume];

		if (volume->block_size == 0) {
			struct volume_info info;

			core_volume_info(node->core, action->volume, node_now(), &info);
			volume->block_size = info.block_size;
		}
		CHECK(volume->block_size != 0);
		block_size = volume->block_size;
	}
	link_send(link->link, action->message, block_size);
	if (!link->written) {
		link->written = true;
		link->next_written = node->written;
		node->written = link;
	}
}

// The core's last words, an ERR_REPLY mostly, are still tried.
void
node_link_close(struct node *node, uint32_t slot, const char *why)
{
	struct node_link *link = node->links[slot];

	if (link == NULL)
		return;
	log_warnx("closing the link to %s %s: %s", role_name(link), link_peer(link->link),
		  why != NULL ? why : "no reason given");
	link_flush(link->link);
	node_link_drop(link);
}

void
node_link_drop(struct node_link *link)
{
	link_close(link->link);
	link_gone(link);
}

// ---- Life ----

int
node_links_init(struct node *node, char *error, size_t error_size)
{
	for (uint32_t slot = LIMIT_LINKS; slot-- > 0;)
		node->free_slots[node->free_count++] = slot; // low ones are taken first
	for (size_t i = 0; i < node->config.listen_count; i++) {
		node->listeners[i] =
			listener_create(node->base, &node->config.listens[i], on_accepted, node, error, error_size);
		if (node->listeners[i] == NULL)
			return -1;
	}
	return 0;
}

void
node_links_fini(struct node *node)
{
	for (size_t i = 0; i < LIMIT_LISTENERS; i++) {
		listener_destroy(node->listeners[i]);
		node->listeners[i] = NULL;
	}
	handshakes_destroy(node->handshakes);
	node->handshakes = NULL;
	for (uint32_t slot = 0; slot < LIMIT_LINKS; slot++) {
		if (node->links[slot] == NULL)
			continue;
		link_close(node->links[slot]->link);
		slot_free(node->links[slot]);
	}
}
