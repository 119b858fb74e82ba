// SPDX-License-Identifier: MIT
#include "core/heartbeat.h"
#include "core/outbox.h"
#include "core/sealed.h"

enum {
	HEARTBEAT_MIN_US = 20 * 1000,
	SILENT_BEATS = HEARTBEATS / 4, // as many intervals without a message: the parent is failed (F1)
};

static moment_us
heartbeat_interval(const struct core *core)
{
	moment_us interval = (moment_us)core->parent.lease_ms * 1000 / HEARTBEATS;

	return interval > HEARTBEAT_MIN_US ? interval : HEARTBEAT_MIN_US;
}

// What is granted lasts from the last request that was answered, which is a heartbeat for who has waited for long. (Nobody hears more
// of them as long as nothing is asked for.)
static moment_us
next_due(const struct core *core)
{
	moment_us interval = heartbeat_interval(core), wanted = (moment_us)core->parent.ttl_ms * 1000 / HEARTBEATS;
	moment_us least = interval / HEARTBEATS_MORE > HEARTBEAT_MIN_US ? interval / HEARTBEATS_MORE : HEARTBEAT_MIN_US;

	if (core->parent.outstanding == 0 || core->parent.ttl_ms == 0 || wanted >= interval)
		return core->parent.heartbeat_at;
	wanted = core->parent.heartbeat_sent + (wanted > least ? wanted : least);
	return wanted < core->parent.heartbeat_at ? wanted : core->parent.heartbeat_at;
}

static void
send(struct core *core)
{
	struct message *message = outbox_message(core, (uint32_t)core->parent.link, OP_HEARTBEAT, 0);

	core->parent.heartbeat_xid = message->xid;
	core->parent.heartbeat_sent = core->now;
	core->parent.heartbeat_at = core->parent.silence_at = core->now + heartbeat_interval(core);
}

// A heartbeat is not answered. What counts are intervals in which this process ran and nothing came or went: neither a
// stopped clock here, nor a long message on its way (EVENT_LINK_ALIVE), looks like silence.
static bool
parent_is_silent(struct core *core)
{
	if (core->parent.silence_at > core->now) {
		core_wake(core, core->parent.silence_at);
		return false;
	}
	core->parent.silence_at = core->now + heartbeat_interval(core);
	core_wake(core, core->parent.silence_at);
	if (++core->parent.silent_beats < SILENT_BEATS)
		return false;
	outbox_close_link(core, (uint32_t)core->parent.link, "the parent is silent");
	return true;
}

void
heartbeat_asked(struct core *core)
{
	if (core->parent.heartbeat_xid == 0)
		core_wake(core, next_due(core));
}

void
heartbeat_timer(struct core *core)
{
	if (core->parent.heartbeat_xid != 0 && parent_is_silent(core))
		return;
	if (core->parent.heartbeat_xid == 0 && next_due(core) <= core->now)
		send(core);
	if (core->parent.heartbeat_xid == 0)
		core_wake(core, next_due(core));
	else if (core->parent.heartbeat_at > core->now)
		core_wake(core, core->parent.heartbeat_at);
}

void
heartbeat_answered(struct core *core, const struct message *message)
{
	core->parent.heartbeat_xid = 0;
	core->parent.lease_ms = message->hb_ttl_ms;
	if (core->parent.heartbeat_sent > core->parent.answered)
		core->parent.answered = core->parent.heartbeat_sent;
	for (uint32_t i = 0; i < core->volume_count; i++) {
		struct volume *volume = core->volumes[i];
		moment_us end = moment_after_ms(core->parent.heartbeat_sent, sealed_lease_ms(message));

		if (volume->left) {
			outbox_close_link(core, (uint32_t)core->parent.link, "the parent has left a volume");
			return;
		}
		if (volume->is_root || !volume->connected)
			continue;
		if (volume->lease_end <= core->now) {
			outbox_close_link(core, (uint32_t)core->parent.link, "the lease ended before it was renewed");
			return;
		}
		if (end > volume->lease_end)
			volume->lease_end = end;
	}
	core_wake(core, next_due(core)); // long past when the answer took longer than the interval
}
