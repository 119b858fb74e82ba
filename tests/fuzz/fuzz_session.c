// SPDX-License-Identifier: MIT
// A script (session_script.h) happens to one real core, or to two with the fuzzer between them. What must hold,
// whatever the neighbours say: the core's invariants and bounds after each step (fuzz_bounds.c); the timer does not
// spin; what the core sends can be decoded; each local request ends once, and within the time limit; a node that is
// told to stop stops; in the end all buffers are back.
#include "tests/fuzz/fuzz_node.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/session_grammar.h"
#include "tests/fuzz/session_trace.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum {
	NODES = 2,
	PASSED_MAX = 16,        // messages that are remembered for REPLAY, for each link
	PASSED_SIZE = 16 << 10, // of one of them
	QUEUE_MAX = 256,        // messages that wait in the proxy
	ROUNDS = 48,            // of what happens by itself after an operation
	TIMERS_MAX = 4096,      // of one script: then time jumps
	COST_MAX = 1 << 20,     // of one script: then it ends
	PAIR_SLOT = 1,          // of the root's link to the leaf
};

struct bytes {
	uint8_t *bytes;
	size_t size;
};

// What the fuzzer has of one link.
struct side {
	struct peer peer;
	struct bytes passed[PASSED_MAX]; // to the core, newest last
	unsigned passed_count;
	struct bytes queue[QUEUE_MAX]; // from the other node, not yet passed on
	unsigned queue_count;
};

struct session {
	unsigned mode, node_count;
	uint8_t automatic; // AUTO_*
	struct fuzz_node nodes[NODES];
	struct side sides[NODES][SLOTS];
	struct modifiers modifiers;
	unsigned timers, steps;
};

// ---- Messages ----

static void
bytes_keep(struct bytes *list, unsigned *count, unsigned max, const uint8_t *bytes, size_t size)
{
	struct bytes copy = {malloc(size), size};

	CHECK(copy.bytes != NULL);
	memcpy(copy.bytes, bytes, size);
	if (*count == max) {
		free(list[0].bytes);
		memmove(list, list + 1, --*count * sizeof(*list));
	}
	list[(*count)++] = copy;
}

static void
deliver(struct session *session, unsigned node, unsigned slot, const uint8_t *bytes, size_t size)
{
	struct side *side = &session->sides[node][slot];

	if (size > 0 && size <= PASSED_SIZE)
		bytes_keep(side->passed, &side->passed_count, PASSED_MAX, bytes, size);
	fuzz_node_receive(&session->nodes[node], slot, bytes, size);
}

// The other end of the link between the pair's nodes.
static struct side *
pair_side(struct session *session, unsigned node, unsigned slot)
{
	if (session->mode != MODE_PAIR || slot != (node == 0 ? PAIR_SLOT : 0))
		return NULL;
	return node == 0 ? &session->sides[1][0] : &session->sides[0][PAIR_SLOT];
}

static void
on_sent(void *arg, struct fuzz_node *node, unsigned slot, const struct message *message, const uint8_t *bytes,
	size_t size)
{
	struct session *session = arg;
	unsigned index = (unsigned)(node - session->nodes);
	struct side *other = pair_side(session, index, slot);

	grammar_heard(&session->sides[index][slot].peer, message);
	if (other != NULL)
		bytes_keep(other->queue, &other->queue_count, QUEUE_MAX, bytes, size);
}

static struct choice
choice_of(const uint8_t *record)
{
	return (struct choice){
		.form = record[2],
		.block = record[3],
		.count = record[4] & 15,
		.perm = record[4] >> 4 & 3,
		.flags = record[4] >> 6,
		.items = record[5] & 7,
		.version = record[5] >> 3,
		.xid = record[6] & 3,
		.volume = record[6] >> 2 & 3,
		.session = record[6] >> 4 & 3,
		.node = record[6] >> 6,
		.rest = record[7],
	};
}

static bool
answer(struct session *session, unsigned node, unsigned slot, unsigned which, const struct choice *choice)
{
	size_t size;
	uint8_t *bytes = NULL;

	if (session->nodes[node].links[slot].up)
		bytes = grammar_answer(&session->sides[node][slot].peer, which, choice, &session->modifiers, &size);
	if (bytes == NULL)
		return false;
	deliver(session, node, slot, bytes, size);
	free(bytes);
	return true;
}

static bool
relay(struct session *session, unsigned node, unsigned slot, unsigned which, bool stays)
{
	struct side *side = &session->sides[node][slot];
	struct bytes passing;
	uint8_t *bytes;
	size_t size;

	if (which >= side->queue_count || !session->nodes[node].links[slot].up)
		return false;
	passing = side->queue[which];
	bytes = grammar_alter(passing.bytes, passing.size, &session->modifiers, &size);
	if (!stays) {
		memmove(&side->queue[which], &side->queue[which + 1],
			(--side->queue_count - which) * sizeof(side->queue[0]));
		free(passing.bytes);
	}
	deliver(session, node, slot, bytes, size);
	free(bytes);
	return true;
}

static void
replay(struct session *session, unsigned node, unsigned slot, unsigned which, bool elsewhere)
{
	struct side *side = &session->sides[node][slot];
	uint8_t *bytes;
	size_t size;

	if (which >= side->passed_count)
		return;
	which = side->passed_count - 1 - which;
	bytes = grammar_alter(side->passed[which].bytes, side->passed[which].size, &session->modifiers, &size);
	deliver(session, node, elsewhere ? (slot + 1) % SLOTS : slot, bytes, size);
	free(bytes);
}

static void
forge(struct session *session, unsigned node, unsigned slot, const uint8_t *record)
{
	struct choice choice = choice_of(record);
	size_t size;
	uint8_t *bytes = grammar_forge(&session->sides[node][slot].peer, &choice, &session->modifiers, &size);

	if (bytes == NULL)
		return;
	deliver(session, node, slot, bytes, size);
	free(bytes);
}

// ---- What happens by itself ----

static bool
settle_link(struct session *session, unsigned node, unsigned slot)
{
	static const struct choice honest;
	struct fuzz_link *link = &session->nodes[node].links[slot];
	bool paired = pair_side(session, node, slot) != NULL, any = false;

	if (session->automatic & AUTO_ANSWER && !paired)
		any = answer(session, node, slot, 0, &honest);
	if (session->automatic & AUTO_RELAY && paired)
		any = relay(session, node, slot, 0, false);
	if (session->automatic & AUTO_ROOM && link->up && link->sent >= LIMIT_LINK_DATA_SIZE / 2) {
		link->sent = 0;
		fuzz_node_step(&session->nodes[node], &(struct event){.type = EVENT_LINK_ROOM, .link = link->id});
		any = true;
	}
	return any;
}

static void
settle(struct session *session)
{
	struct modifiers none = {.count = 0}, kept = session->modifiers;
	bool any = true;

	session->modifiers = none; // they are for what the script does
	for (unsigned round = 0; any && round < ROUNDS; round++) {
		any = false;
		for (unsigned i = 0; i < session->node_count; i++) {
			struct fuzz_node *node = &session->nodes[i];

			if (!(session->automatic & AUTO_LATE))
				any |= fuzz_node_close(node);
			for (unsigned slot = 0; slot < SLOTS; slot++)
				any |= settle_link(session, i, slot);
			if (session->automatic & AUTO_STORE) {
				any |= fuzz_node_end(node, 0, false, ERR_OK, 0);
				any |= fuzz_node_end(node, 0, true, ERR_OK, 0);
			}
		}
	}
	session->modifiers = kept;
}

// ---- Time ----

static void
set_now(struct session *session, moment_us now)
{
	for (unsigned i = 0; i < session->node_count; i++)
		session->nodes[i].now = now;
}

static moment_us
next_deadline(const struct session *session)
{
	moment_us next = MOMENT_NEVER;

	for (unsigned i = 0; i < session->node_count; i++)
		if (!session->nodes[i].stopped && core_deadline(session->nodes[i].core) < next)
			next = core_deadline(session->nodes[i].core);
	return next;
}

// Time goes on until ${until}, timers run when they are due.
static void
pass(struct session *session, moment_us until)
{
	moment_us next;

	for (; session->timers < TIMERS_MAX && (next = next_deadline(session)) <= until; session->timers++) {
		if (next > session->nodes[0].now)
			set_now(session, next);
		for (unsigned i = 0; i < session->node_count; i++) {
			fuzz_node_close(&session->nodes[i]);
			fuzz_node_timer(&session->nodes[i]);
		}
		settle(session);
	}
	set_now(session, until);
	for (unsigned i = 0; i < session->node_count; i++)
		fuzz_node_timer(&session->nodes[i]);
}

static void
do_time(struct session *session, const uint8_t *record)
{
	const struct core_config *config = &session->nodes[0].config;
	uint64_t hb_us = (uint64_t)config->hb_ttl_ms * 1000, ttl_us = (uint64_t)config->ttl_ms * 1000;
	const uint64_t times[] = {1000,        1,          20 * 1000,
				  100 * 1000,  200 * 1000, 500 * 1000,
				  1000000,     2000000,    5000000,
				  hb_us / 24,  hb_us / 4,  hb_us / 2,
				  hb_us - 1,   hb_us,      hb_us / 32 + 20000,
				  ttl_us / 2,  ttl_us,     hb_us + hb_us / 16 + 40000,
				  30 * 1000000};
	moment_us now = session->nodes[0].now, next = next_deadline(session);
	unsigned which = record[1] % (sizeof(times) / sizeof(times[0]) + 1);
	moment_us until = which < sizeof(times) / sizeof(times[0]) ? now + times[which] : next;

	if (until == MOMENT_NEVER || until < now)
		return;
	if (record[2] & 1)
		set_now(session, until); // nothing ran; timers come with the next event
	else
		pass(session, until);
}

// ---- Local requests ----

static void
do_io(struct session *session, struct fuzz_node *node, const uint8_t *record)
{
	static const uint32_t sizes[] = {512, 1, 4096, 511, 513, 1024, 8192, 16384, 65536, 262144};
	struct volume_info info;
	struct io io = {.kind = record[2] & 3,
			.volume = record[2] >> 2 & 1,
			.force_sync = record[2] >> 3 & 1,
			.stream = record[2] >> 4};
	uint64_t block, at;

	core_volume_info(node->core, io.volume, node->now, &info);
	block = info.block_size != 0 ? info.block_size : 512;
	at = record[3] & 0x80 ? info.size - (record[3] & 0x7f) * block / 2 : record[3] * block / 2;
	io.offset = at + record[4];
	io.size = sizes[record[5] % (sizeof(sizes) / sizeof(sizes[0]))];
	if (io.kind == IO_SYNC)
		io.size = io.offset = 0;
	fuzz_node_submit(node, &io);
}

static void
do_cancel(struct fuzz_node *node, unsigned which)
{
	for (unsigned i = 0; i < NODE_IOS; i++)
		if (node->ios[i].active && which-- == 0) {
			fuzz_node_step(node, &(struct event){.type = EVENT_IO_CANCEL, .io = &node->ios[i].io});
			return;
		}
}

static void
do_set(struct fuzz_node *node, uint8_t what)
{
	static const uint32_t disconnects[] = {DISCONNECT_WAIT, 0, 500, 100000};

	core_set_write_mode(node->core, what % 3);
	core_set_durability(node->core, (what >> 2) % 3);
	core_set_disconnect(node->core, disconnects[what >> 4 & 3]);
}

// ---- The script ----

static const enum hvfs_error store_errors[] = {ERR_OK, ERR_IO, ERR_NO_SPACE, ERR_OK};

// Do one record; ${left} more follow. Returns how many of them were used up.
static size_t
perform(struct session *session, const uint8_t *record, size_t left)
{
	unsigned index = record[1] & 1 && session->node_count > 1, slot = record[1] >> 1 & 3,
		 which = record[1] >> 3 & 7;
	struct fuzz_node *node = &session->nodes[index];
	struct choice choice = choice_of(record);
	struct modifiers *modifiers = &session->modifiers;

	switch ((enum session_op)(record[0] & 31)) {
	case DO_TIME:
		do_time(session, record);
		break;
	case DO_UP:
		fuzz_node_up(node, slot);
		break;
	case DO_DOWN:
		fuzz_node_down(node, slot);
		break;
	case DO_ROOM:
		if (node->links[slot].up)
			fuzz_node_step(node, &(struct event){.type = EVENT_LINK_ROOM,
							     .link = node->links[slot].id,
							     .queued_size = (uint64_t)record[2] << 12});
		break;
	case DO_IO:
		do_io(session, node, record);
		break;
	case DO_CANCEL:
		do_cancel(node, record[1] >> 3);
		break;
	case DO_STORE:
		fuzz_node_end(node, which, false, store_errors[record[2] & 3], record[3]);
		break;
	case DO_EVICTED:
		fuzz_node_end(node, which, true, store_errors[record[2] & 3], 0);
		break;
	case DO_ABORT:
		fuzz_node_step(node, &(struct event){.type = EVENT_ABORT,
						     .volume = record[2] % core_volume_count(node->core)});
		break;
	case DO_STOP:
		fuzz_node_step(node, &(struct event){.type = EVENT_STOP});
		break;
	case DO_SET:
		do_set(node, record[2]);
		break;
	case DO_AUTO:
		session->automatic = record[1];
		break;
	case DO_FORGE:
		forge(session, index, slot, record);
		break;
	case DO_ANSWER:
		answer(session, index, slot, which, &choice);
		break;
	case DO_RELAY:
		relay(session, index, slot, which, record[2] & 1);
		break;
	case DO_REPLAY:
		replay(session, index, slot, which, record[2] & 1);
		break;
	case DO_MODIFY:
		if (modifiers->count < MODIFIERS_MAX)
			modifiers->list[modifiers->count++] = (struct modifier){
				.kind = record[1] % MODIFY_COUNT,
				.param = record[2],
				.choice = record[3],
				.value = (uint32_t)record[4] << 24 | (uint32_t)record[5] << 16 |
					 (uint32_t)record[6] << 8 | record[7],
			};
		break;
	case DO_RAW:
		left = record[2] % 16 < left ? record[2] % 16 : left;
		deliver(session, index, slot, record + RECORD_SIZE, left * RECORD_SIZE);
		return left;
	default:
		break;
	}
	return 0;
}

// A script that makes much of everything would take long.
static bool
goes_on(const struct session *session)
{
	return session->steps < STEPS_MAX && session->nodes[0].cost + session->nodes[1].cost < COST_MAX;
}

// The ${count} records at ${record}, the first as number ${number}.
static void
run(struct session *session, const uint8_t *record, size_t number, size_t count, bool repeats)
{
	for (size_t i = 0; i < count && goes_on(session); i++, session->steps++) {
		const uint8_t *at = record + i * RECORD_SIZE;
		size_t left = count - i - 1, some = at[2] % 16 < left ? at[2] % 16 : left;

		session_trace_record(number + i, at);
		if ((at[0] & 31) != DO_REPEAT) {
			i += perform(session, at, left);
			settle(session);
			continue;
		}
		for (unsigned times = 0; repeats && times < at[3]; times++)
			run(session, at + RECORD_SIZE, number + i + 1, some, false);
		i += repeats ? some : 0;
	}
}

// ---- The beginning ----

static void
node_config(struct core_config *config, unsigned index, const uint8_t *head)
{
	static const uint32_t credits[] = {64, 4, 512, 4096}, hb_ttls[] = {1000, 120, 30 * 1000, 24 * 3600 * 1000};
	static const uint32_t ttls[] = {2000, 100, 1200 * 1000, 500}, dirty_maxes[] = {64, 1, 4, 8192};
	static const uint32_t disconnects[] = {DISCONNECT_WAIT, 0, 500, 100 * 1000},
			      graces[] = {0, 500, 3000, 40 * 1000};
	static const uint32_t aheads[] = {0, 8, 64, 1024}, writebacks[] = {5000, 0, 100, 1000};
	static const uint64_t directories[] = {16 << 20, 1, 4, 64};

	core_config_default(config);
	config->trace = session_trace_on() ? session_trace_core : NULL;
	config->name = index == 0 ? "alpha" : "beta";
	config->node_id = NODE_ID_BASE + index;
	config->session_seed = 1000 * (index + 1);
	config->epoch = head[3] & 0x80 ? (1 << 24) - 1 : EPOCH;
	config->credits = credits[head[2] >> 2 & 3];
	config->write_mode = (head[2] >> 4 & 3) % 3;
	config->give_back = head[2] >> 6 & 1;
	config->has_driver = !(head[2] >> 7);
	config->hb_ttl_ms = hb_ttls[head[3] & 3];
	config->ttl_ms = ttls[head[3] >> 2 & 3];
	config->dirty_max = dirty_maxes[head[3] >> 4 & 3];
	config->durability = (head[4] & 3) % 3;
	config->disconnect_ms = disconnects[head[4] >> 2 & 3];
	config->grace_ms = graces[head[4] >> 4 & 3];
	config->readahead_blocks = aheads[head[4] >> 6];
	config->io_timeout_ms = head[5] & 1 ? 5000 : 1000;
	config->writeback_ms = writebacks[head[5] >> 1 & 3];
	config->directory_max = directories[head[5] >> 6];
	config->push_blocks = head[5] & 0x20 ? 64 : 0;
}

static void
node_init(struct session *session, unsigned index, const uint8_t *head)
{
	static const char *const names[PEER_VOLUMES] = VOLUME_NAMES;
	static const uint64_t blocks[PEER_VOLUMES] = VOLUME_BLOCKS, cache_blocks[] = {64, 2, 8, 1024};
	static const uint32_t sizes[PEER_VOLUMES] = VOLUME_BLOCK_SIZES;
	struct fuzz_node *node = &session->nodes[index];
	struct core_config config;

	node_config(&config, index, head);
	config.has_parent = session->mode == MODE_NODE || index == 1;
	fuzz_node_init(node, &config, cache_blocks[head[2] & 3]);
	node->sent = on_sent;
	node->arg = session;
	for (unsigned i = 0; i < REAL_VOLUMES; i++) {
		bool read_only = i == 1 && head[3] >> 6 & 1;

		if (config.has_parent)
			core_add_child_volume(node->core, names[i], read_only);
		else
			core_add_root_volume(node->core, names[i], blocks[i] * sizes[i], sizes[i], read_only);
		core_set_volume_id(node->core, i, FIRST_ID + i);
	}
	for (unsigned i = 0; i < (head[5] >> 3 & 3) && !config.has_parent; i++)
		core_add_eviction(node->core, 0, PEER_ID_BASE + i, 900 + i);
	for (unsigned slot = 0; slot < SLOTS; slot++)
		session->sides[index][slot].peer = (struct peer){.is_parent = slot == 0,
								 .node_id = PEER_ID_BASE + 10 * slot,
								 .hb_ttl_ms = config.hb_ttl_ms,
								 .ttl_ms = config.ttl_ms};
}

// All links are up; the fuzzer's children connect to the first volume.
static void
start(struct session *session)
{
	const uint8_t connect[RECORD_SIZE] = {DO_FORGE, 0, grammar_form("connect")};

	for (unsigned i = 0; i < session->node_count; i++) {
		fuzz_node_timer(&session->nodes[i]);
		for (unsigned slot = 0; slot < SLOTS; slot++) {
			if (i == 1 && slot > 0)
				continue;
			fuzz_node_up(&session->nodes[i], slot);
			if (slot > 0 && pair_side(session, i, slot) == NULL)
				forge(session, i, slot, connect);
			settle(session);
		}
	}
}

// ---- The end ----

// Nobody says anything any more, the storage hangs.
static void
end(struct session *session)
{
	session_trace("the end");
	session->automatic = 0;
	session->timers = 0;
	pass(session, session->nodes[0].now + (uint64_t)session->nodes[0].config.io_timeout_ms * 1000 + 1);
	for (unsigned i = 0; i < session->node_count; i++) {
		struct fuzz_node *node = &session->nodes[i];

		CHECK(node->stopped || fuzz_node_waiting(node) == 0);
		fuzz_node_step(node, &(struct event){.type = EVENT_STOP});
	}
	for (unsigned tries = 0; tries < 64 && next_deadline(session) != MOMENT_NEVER; tries++)
		pass(session, session->nodes[0].now + (uint64_t)session->nodes[0].config.io_timeout_ms * 1000 + 1);
	for (unsigned i = 0; i < session->node_count; i++)
		CHECK(session->nodes[i].stopped);
}

static void
side_fini(struct side *side)
{
	while (side->passed_count > 0)
		free(side->passed[--side->passed_count].bytes);
	while (side->queue_count > 0)
		free(side->queue[--side->queue_count].bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static struct session session;
	uint8_t record[RECORDS_MAX * RECORD_SIZE] = {0};
	size_t count;

	if (size > sizeof(record))
		size = sizeof(record);
	if (size > 0)
		memcpy(record, bytes, size);
	count = (size + RECORD_SIZE - 1) / RECORD_SIZE;
	memset(&session, 0, sizeof(session));
	session.mode = record[0] % MODE_COUNT;
	session.node_count = session.mode == MODE_PAIR ? 2 : 1;
	session.automatic = record[1];
	for (unsigned i = 0; i < session.node_count; i++)
		node_init(&session, i, record);
	if (session.automatic & AUTO_START)
		start(&session);
	if (count > 1)
		run(&session, record + RECORD_SIZE, 1, count - 1, true);
	end(&session);
	for (unsigned i = 0; i < session.node_count; i++) {
		for (unsigned slot = 0; slot < SLOTS; slot++)
			side_fini(&session.sides[i][slot]);
		fuzz_node_fini(&session.nodes[i]);
	}
	return 0;
}
