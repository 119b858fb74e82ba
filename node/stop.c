// SPDX-License-Identifier: MIT
// Leaving in order: the core flushes and gives everything back (EVENT_STOP to ACTION_STOPPED), then the mount goes, the
// links, the storage, and whoever waits on the control socket is answered. If the parent is away that would never end:
// a stop that makes no progress for io_timeout is given up, and what is not at the root is named.
#include "node/internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void __attribute__((format(printf, 2, 3))) note_loss(struct node *node, const char *format, ...)
{
	size_t used = strlen(node->why);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(node->why + used, sizeof(node->why) - used, format, arguments);
	va_end(arguments);
	node->status = 1;
}

// Which volumes have something that is not at the root.
static void
note_dirty(struct node *node)
{
	struct volume_info info;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		core_volume_info(node->core, i, node_now(), &info);
		if (info.dirty_blocks > 0)
			note_loss(node, "; volume %s: %" PRIu64 " bytes are not at the root", info.name,
				  info.dirty_blocks * info.block_size);
	}
}

static void
stop_timer_set(struct node *node)
{
	struct timeval timeout = {.tv_sec = node->config.io_timeout_ms / 1000,
				  .tv_usec = (suseconds_t)(node->config.io_timeout_ms % 1000) * 1000};

	node->stop_dirty = node_dirty_bytes(node, -1);
	if (node->config.io_timeout_ms != 0)
		evtimer_add(node->stop_timer, &timeout);
}

static void
stop_timed_out(evutil_socket_t fd, short what, void *arg)
{
	struct node *node = arg;

	if (node->left || node->why[0] != '\0')
		return; // the core was first
	if (node_dirty_bytes(node, -1) < node->stop_dirty) {
		stop_timer_set(node);
		return;
	}
	node->in_order = false;
	note_loss(node, "flushing made no progress within %" PRIu32 " ms", node->config.io_timeout_ms);
	if (node->config.parent_count > 0 && node->parent == NULL)
		note_loss(node, "; parent %s can not be reached", node_parent_address(node));
	note_dirty(node);
	log_error("%s", node->why);
	event_base_loopexit(node->base, NULL);
}

void
node_stop(struct node *node, const char *why)
{
	if (node->stopping || node->left)
		return;
	node->stopping = true;
	log_info("stopping: %s", why);
	node->in_order = node_now() >= node->grace_end; // else somebody may still hold something of the root before
	stop_timer_set(node);
	node_feed(node, &(struct event){.type = EVENT_STOP});
}

void
node_stopped(struct node *node, enum hvfs_error error)
{
	if (error != ERR_OK) {
		node->in_order = false;
		note_loss(node, "not everything could be flushed: %s", hvfs_error_text(error));
		note_dirty(node);
		log_error("%s", node->why);
	}
	event_base_loopexit(node->base, NULL);
}

// ---- Signals ----

static void
signal_caught(evutil_socket_t number, short what, void *arg)
{
	struct node *node = arg;

	if (!node->stopping) {
		node_stop(node, number == SIGTERM ? "SIGTERM" : "SIGINT");
		return;
	}
	node->in_order = false;
	note_loss(node, "told a second time to stop, before everything was flushed");
	note_dirty(node);
	log_error("%s", node->why);
	node->hurry = true;
	event_base_loopexit(node->base, NULL);
}

int
node_signals_init(struct node *node)
{
	static const int numbers[2] = {SIGTERM, SIGINT};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 2; i++) {
		node->signals[i] = evsignal_new(node->base, numbers[i], signal_caught, node);
		if (node->signals[i] == NULL || event_add(node->signals[i], NULL) != 0)
			return -1;
	}
	node->stop_timer = evtimer_new(node->base, stop_timed_out, node);
	return node->stop_timer != NULL ? 0 : -1;
}

// ---- The end ----

static void
signals_fini(struct node *node)
{
	for (size_t i = 0; i < 2; i++)
		if (node->signals[i] != NULL)
			event_free(node->signals[i]);
	if (node->stop_timer != NULL)
		event_free(node->stop_timer);
	node->signals[0] = node->signals[1] = node->stop_timer = NULL;
}

// Signals have their ordinary effect from here on: who asks again has waited long enough.
void
node_leave(struct node *node)
{
	signals_fini(node);
	node_end_batch(node); // the core's last messages
	node->left = true;    // requests of the driver end now; the core must not see them any more
	if (node->driver != NULL)
		driver_destroy(node->driver);
	node->driver = NULL;
	node_parent_fini(node);
	node_links_fini(node);
	while ((node->store_operations > 0 || worker_is_busy(node->worker)) && !node->hurry)
		event_base_loop(node->base, EVLOOP_ONCE);
	if (node->in_order && node->status == 0)
		node_stores_set_clean(node);
	for (uint32_t i = 0; i < LIMIT_VOLUMES && node->store_operations == 0; i++)
		node_store_close(&node->volumes[i]);
	if (node->control != NULL)
		control_tell_stopped(node->control, node->why[0] != '\0' ? node->why : NULL);
	if (node->running)
		log_info("stopped");
}
