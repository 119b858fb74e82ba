// SPDX-License-Identifier: MIT
// Links get a slot each: the number by which the core knows them. One slot is kept back for the parent, so that a crowd
// of children can not cut the node off from it.
//
// Blocks arrive in counted buffers, which then serve as cache slot, reply and message. Blocks of zeros become the zero
// buffer.
#include "core/zeros.h"
#include "net/channel.h"
#include "node/internal.h"
#include "node/sealing_rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TELL_AGAIN_US = 60 * 1000 * 1000 }; // of the same, on one link
enum { FILES_KEPT = LIMIT_HANDSHAKES + 256 }; // for other things than links

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
	if (link->sealing != NULL)
		sealing_close(link->sealing);
	if (node->cookies != NULL)
		cookies_link_gone(node->cookies, link);
	if (node->freshness != NULL)
		freshness_link_gone(node->freshness, link);
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

static uint32_t
block_size_of(struct node *node, uint32_t index)
{
	struct volume *volume = &node->volumes[index];
	struct volume_info info;

	if (volume->block_size == 0) {
		core_volume_info(node->core, index, node_now(), &info);
		volume->block_size = info.block_size;
	}
	return volume->block_size;
}

// At the end of the batch it goes.
static void
write_message(struct node_link *link, const struct message *message, size_t block_size)
{
	struct node *node = link->node;

	link_send(link->link, message, block_size);
	if (!link->written) {
		link->written = true;
		link->next_written = node->written;
		node->written = link;
	}
	if (!node->batch_due && !node->stepping)
		event_active(node->batch, EV_TIMEOUT, 1);
	node->batch_due = true;
}

void
node_link_write(struct node_link *link, const struct message *message)
{
	write_message(link, message, LIMIT_BLOCK_SIZE_MIN);
}

// ---- What links tell ----

static void
find_zeros(const struct message *message)
{
	for (uint32_t i = 0; i < message->count; i++) {
		struct item *item = &message->items[i];

		if (item->kind == ITEM_DATA && bytes_are_zero(item->bytes, message->data_size))
			item->buf = buf_zero();
	}
}

void
node_link_deliver(struct node_link *link, const struct message *message)
{
	struct node *node = link->node;
	bool is_parent = link->role == LINK_PARENT;

	if (is_parent)
		node_parent_said(node, message);
	if (node->cookies != NULL && cookies_received(node->cookies, link, message))
		return;
	node_feed(node, &(struct event){.type = EVENT_MESSAGE, .link = link->slot, .message = message});
	if (is_parent && node->cookies != NULL && (message->present & PRESENT(SESSION)))
		cookies_connected(node->cookies); // that was an answer to CONNECT
	if (is_parent && node->freshness != NULL)
		freshness_go_on(node->freshness);
}

static void
receive(struct node_link *link, const struct message *message)
{
	struct freshness *freshness = link->node->freshness;

	if (link->role == LINK_CHILD)
		link->heard = true;
	else if (freshness != NULL && freshness_received(freshness, link, message))
		return;
	node_link_deliver(link, message);
}

// Of the volume that a message is about (-1: none that is known).
static struct sealing_volume
sealing_volume(struct node *node, int index)
{
	struct volume *volume = index >= 0 ? &node->volumes[index] : NULL;
	struct sealing_volume ret = {.index = index, .block_size = LIMIT_BLOCK_SIZE_MIN};

	if (volume == NULL)
		return ret;
	ret.key = volume->carrier != NULL ? volume->carrier : volume->key;
	ret.maker = volume->key != NULL && volume_key_role(volume->key) >= VOLUME_ROLE_WRITER ? volume->key : NULL;
	ret.raised = volume->raised;
	ret.epoch = volume->rest != NULL && volume->store->clean_before ? volume->store->epoch : 0;
	ret.settled = volume->rest != NULL ? rest_settled_epoch(volume->rest) : 0;
	ret.block_size = block_size_of(node, (uint32_t)index);
	if (ret.block_size == 0)
		return (struct sealing_volume){.index = -1, .block_size = LIMIT_BLOCK_SIZE_MIN};
	ret.pool = core_pool(node->core, ret.block_size);
	ret.root = volume->sealed_root;
	ret.record = volume->rest_root;
	return ret;
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
	struct sealing_volume volume = {.index = -1};

	if (link->role == LINK_PARENT && !link->heard && says_no_right(message)) {
		link->unwanted = true;
		return; // it closes the link
	}
	if (link->sealing != NULL) {
		volume = sealing_volume(link->node, core_message_volume(link->node->core, link->slot, message));
		if (volume.key == NULL && message->data_size != 0)
			find_zeros(message);
		sealing_received(link->sealing, &volume, message);
		return;
	}
	if (message->data_size != 0)
		find_zeros(message);
	receive(link, message);
}

static void
note_raised(struct raised *raised, const struct message *message)
{
	for (uint32_t i = 0; message->items != NULL && i < message->count; i++) {
		const struct item *item = &message->items[i];
		const struct proof *proof = item->kind == ITEM_DATA ? buf_proof(item->buf) : NULL;

		if (proof != NULL)
			raised_came(raised, message->block + i, seal_version(proof->bytes, proof->size), item->version);
	}
}

// Which volume VOLUME_ID means may have changed while the message waited. Of a child's it means none once its session is over: the
// core refuses it.
static void
on_checked(void *arg, const struct message *message, int volume)
{
	struct node_link *link = arg;
	int now = core_message_volume(link->node->core, link->slot, message);

	if (message->items != NULL && now != volume && !(link->role == LINK_CHILD && now < 0)) {
		node_link_close(link->node, link->slot, "blocks came of one volume as those of another");
		return;
	}
	if (now >= 0 && now == volume && link->node->volumes[volume].raised != NULL)
		note_raised(link->node->volumes[volume].raised, message);
	receive(link, message);
}

static bool
on_is_old(void *arg, int volume, uint64_t block, const struct sealed_entry *coming, const struct sealed_entry *filed)
{
	const struct node_link *link = arg;
	struct node *node = link->node;
	struct sealed_root *root = node->volumes[volume].sealed_root;
	struct sealed_entry known = root != NULL && filed != NULL ? sealed_root_find(root, block, filed) : (struct sealed_entry){0};
	struct block_info info;

	if (link->role == LINK_PARENT && !freshness_came(node->freshness, (uint32_t)volume, block, coming->sealed))
		return true;
	if (root != NULL && filed != NULL && filed->protocol > coming->protocol &&
	    !core_learn_stored(node->core, (uint32_t)volume, block, filed->protocol))
		return true;
	core_block_info(node->core, (uint32_t)volume, block, node_now(), &info);
	return sealing_is_old(coming, root != NULL && filed != NULL ? &known : NULL,
			      core_storage_has(node->core, (uint32_t)volume, block, coming->protocol), info.copy != NULL ? buf_proof(info.copy) : NULL,
			      info.version);
}

bool
node_telling_due(struct telling *telling, char *again, size_t size)
{
	moment_us now = node_now();

	if (telling->told != 0 && now - telling->told < TELL_AGAIN_US) {
		telling->hidden++;
		return false;
	}
	again[0] = '\0';
	if (telling->hidden > 0)
		snprintf(again, size, "; %" PRIu64 " times more since it was told last", telling->hidden);
	*telling = (struct telling){.told = now};
	return true;
}

static void
tell_not_proven(struct node_link *link, const struct message *message, const struct sealing_fault *fault)
{
	int volume = core_message_volume(link->node->core, link->slot, message);
	char again[80];

	if (volume >= 0)
		link->node->volumes[volume].unproven++;
	if (node_telling_due(&link->unproven, again, sizeof(again)))
		log_warnx("%s %s sent a %s with a block that is not one of the volume's: block %" PRIu64 ", its verifier: %s%s",
			  role_name(link), link_peer(link->link), message_opcode_name(message->opcode), fault->block, fault->why,
			  again);
}

// Somebody has changed what it passes on, or the keys are not the same.
static void
on_not_proven(void *arg, const struct message *message, const struct sealing_fault *fault)
{
	struct node_link *link = arg;
	struct message refusal;
	uint8_t value[8];

	tell_not_proven(link, message, fault);
	switch (sealing_refuse(message, fault, link->role == LINK_CHILD, value, &refusal)) {
	case SEALING_CLOSE:
		node_link_close(link->node, link->slot, "what it brings can not be proven");
		break;
	case SEALING_TAKE:
		receive(link, &refusal);
		break;
	case SEALING_SEND:
		write_message(link, &refusal, LIMIT_BLOCK_SIZE_MIN);
		break;
	}
}

// For the core of who keeps the proof of zeros these are bytes like others.
static void
on_sealed(void *arg, const struct message *message, size_t block_size)
{
	struct node_link *link = arg;

	for (uint32_t i = 0; message->items != NULL && i < message->count; i++)
		if (message->items[i].kind == ITEM_ZERO && message->items[i].verifier.size > 0)
			link_count(link->link, block_size);
	if (link->role == LINK_PARENT)
		cookies_sent(link->node->cookies, link, message);
	write_message(link, message, block_size);
}

static void
on_unsendable(void *arg, const struct message *message)
{
	struct node_link *link = arg;

	log_warnx("block %llu can not be sent to %s %s: there is no proof that a writer wrote it, and this node's key can not "
		  "make one",
		  (unsigned long long)message->block, role_name(link), link_peer(link->link));
	node_link_close(link->node, link->slot, "what it is to have can not be proven");
}

static void
on_pause(void *arg, bool paused)
{
	struct node_link *link = arg;

	link_set_reading(link->link, !paused);
}

static const struct sealing_callbacks sealing_callbacks = {
	.receive = on_checked,
	.refuse = on_not_proven,
	.is_old = on_is_old,
	.send = on_sealed,
	.unsendable = on_unsendable,
	.pause = on_pause,
};

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
	char again[80] = "";

	if (node_telling_due(&link->malformed, again, sizeof(again)) || fatal)
		log_warnx("%s %s sent a malformed %s: %s (parameter %s, 0x%04x)%s%s", role_name(link), link_peer(link->link),
			  message_opcode_name(header->opcode), message_status_text(error->status),
			  error->param != 0 ? message_param_name(error->param) : "none", error->param,
			  fatal ? "; closing the link" : "", again);
	if (link->role == LINK_PARENT && !link->heard)
		node_parent_useless(link->node, "it does not speak hvfs, or wants TLS (--key)");
	if (!is_reply)
		reply_malformed(link, header, error);
}

static void
on_room(void *arg, struct link *unused)
{
	struct node_link *link = arg;

	size_t queued = link_queued(link->link) + (link->sealing != NULL ? sealing_queued(link->sealing) : 0);

	node_feed(link->node, &(struct event){.type = EVENT_LINK_ROOM, .link = link->slot, .queued_size = queued});
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

static struct buf_pool *
on_pool(void *arg, size_t size)
{
	return core_pool(((struct node_link *)arg)->node->core, size);
}

static const struct link_callbacks link_callbacks = {
	.pool = on_pool,
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
	if (node->sealing != NULL)
		link->sealing = sealing_open(node->sealing, &sealing_callbacks, link);
	return link;
}

// How many links ${peer} may have, and where nobody knows who that is, ${host}; 0: as many as there are.
static uint32_t
links_max(const struct peer *peer)
{
	if (peer->kind == PEER_INSECURE)
		return LIMIT_LINKS_OF_HOST;
	if (peer->kind == PEER_UID && (peer->uid == 0 || peer->uid == geteuid()))
		return 0;
	return LIMIT_LINKS_OF_KEY;
}

static uint32_t
count_links(const struct node *node, const struct peer *peer, const struct host *host)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < LIMIT_LINKS; slot++)
		count += node->links[slot] != NULL && node->links[slot]->role == LINK_CHILD &&
			 peer_equal(&node->links[slot]->peer, peer) && host_equal(&node->links[slot]->host, host);
	return count;
}

static void
turn_away(struct node *node, int fd, struct ssl_st *ssl, const char *name, uint32_t max, const char *of)
{
	struct channel channel;
	char why[200];

	snprintf(why, sizeof(why), "%" PRIu32 " links%s%s are open, no more are allowed", max, of[0] != '\0' ? " of " : "", of);
	node_access_refused(node, name, why);
	channel_init(&channel, fd, ssl);
	channel_close(&channel);
}

void
node_link_accept(struct node *node, int fd, struct ssl_st *ssl, const char *name, const struct peer *peer)
{
	const char *label = acl_label(node->acl, peer);
	struct host host = peer->kind == PEER_INSECURE ? host_of(fd) : (struct host){{0}};
	uint32_t max = links_max(peer);
	struct node_link *link = NULL;
	char text[PEER_TEXT_SIZE];

	if (max != 0 && count_links(node, peer, &host) >= max) {
		turn_away(node, fd, ssl, name, max, peer->kind == PEER_INSECURE ? "that host" : peer_print(peer, text));
		return;
	}
	link = node_link_new(node, fd, ssl, name, peer, LINK_CHILD);
	if (link == NULL) {
		turn_away(node, fd, ssl, name, node->links_max, "");
		return;
	}
	link->host = host;
	link_set_bounds(link->link, LIMIT_CHILD_QUEUE_SIZE, LIMIT_STRANGER_MESSAGE_SIZE);
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

static void
tell_key_refusal(struct node_link *link, const struct message *message)
{
	char again[80], peer[PEER_TEXT_SIZE];

	if (message->opcode != OP_ERR_REPLY || !(message->present & PRESENT(ERR_PARAM)) || message->err_param != PARAM_KEY ||
	    !node_telling_due(&link->keyless, again, sizeof(again)))
		return;
	log_warnx("child %s, %s, asks for a volume %s%s", link_peer(link->link), peer_print(&link->peer, peer),
		  message->status == STATUS_MISSING_PARAM ? "that is sealed, and has no key of it"
							  : "with a key of another, or that is not sealed here",
		  again);
}

void
node_link_send(struct node *node, const struct action *action)
{
	struct node_link *link = node->links[action->link];
	struct sealing_volume volume;

	if (link == NULL)
		return; // its end is on the way to the core
	tell_key_refusal(link, action->message);
	if (link->role == LINK_PARENT && node->freshness != NULL)
		freshness_sent(node->freshness, link, action->message);
	if (link->role == LINK_CHILD && action->message->opcode == OP_OK_REPLY && (action->message->present & PRESENT(SESSION)))
		link_set_bounds(link->link, LIMIT_CHILD_QUEUE_SIZE, LIMIT_MESSAGE_SIZE); // it is no stranger any more
	volume = sealing_volume(node, action->message->items != NULL ? (int)action->volume : -1);
	if (link->sealing != NULL)
		sealing_send(link->sealing, &volume, action->message);
	else
		write_message(link, action->message, volume.block_size);
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

// What else a node opens: its storage, its clients, and handshakes, it has to be able to while a crowd is at the door.
static uint32_t
links_possible(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= LIMIT_LINKS + FILES_KEPT)
		return LIMIT_LINKS;
	return limit.rlim_cur > 2 * FILES_KEPT ? (uint32_t)limit.rlim_cur - FILES_KEPT : (uint32_t)limit.rlim_cur / 2;
}

int
node_links_init(struct node *node, char *error, size_t error_size)
{
	node->links_max = links_possible();
	for (uint32_t slot = node->links_max; slot-- > 0;)
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
