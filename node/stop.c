// SPDX-License-Identifier: MIT
// Leaving in order: the core flushes and gives everything back (EVENT_STOP to ACTION_STOPPED), then the mount goes, the
// links, the storage, and whoever waits on the control socket is answered. If the parent is away that would never end:
// a stop that makes no progress for io_timeout is given up, and what is not at the root is named.
#include "node/internal.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WATCH_MS = 250, GOOD_BYE_MS = 5000 };

static void __attribute__((format(printf, 2, 3))) note_loss(struct node *node, const char *format, ...)
{
	size_t used = strlen(node->why);
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(node->why + used, sizeof(node->why) - used, format, arguments);
	va_end(arguments);
	node->status = 1;
}

// The stop has failed, with what it was waiting for.
static void
fail(struct node *node, const char *why)
{
	char text[1024];

	node->in_order = false;
	node_waiting_print(node, text, sizeof(text));
	note_loss(node, "%s%s", why, text);
	log_error("%s", node->why);
}

// What is waited for takes too long. Only when something may be lost the stop has failed.
static void
give_up(struct node *node, const char *what, uint32_t ms)
{
	char why[100], text[1024];

	snprintf(why, sizeof(why), "%s within %" PRIu32 " ms", what, ms);
	if (node_waiting_is_loss(node)) {
		fail(node, why);
		return;
	}
	node->in_order = false;
	node_waiting_print(node, text, sizeof(text));
	log_warnx("%s%s; nothing is lost", why, text);
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
	give_up(node, "flushing made no progress", node->config.io_timeout_ms);
	event_base_loopexit(node->base, NULL);
}

void
node_stop(struct node *node, const char *why)
{
	if (node->stopping || node->left)
		return;
	node->stopping = true;
	log_info("stopping: %s", why);
	node->in_order = !core_in_grace(node->core); // else somebody may still hold something of the root before
	stop_timer_set(node);
	node->good_bye = node_now();
	event_add(node->stop_watch, &(struct timeval){.tv_usec = WATCH_MS * 1000});
	if (node->cookies != NULL)
		cookies_prove_all(node->cookies);
	else
		node_feed(node, &(struct event){.type = EVENT_STOP});
}

void
node_stop_proven(struct node *node, bool ok)
{
	if (node->left)
		return;
	if (!ok)
		note_loss(node, "it is not proven that the root has what was written to sealed volumes");
	node_feed(node, &(struct event){.type = EVENT_STOP});
}

// A parent that hangs is not worth the whole time when nothing can get lost.
static void
stop_watched(evutil_socket_t fd, short what, void *arg)
{
	struct node *node = arg;
	moment_us now = node_now();

	node_waiting_tell(node);
	if (node->left || !node_waiting_is_good_bye(node)) {
		node->good_bye = now;
	} else if (now - node->good_bye >= (moment_us)GOOD_BYE_MS * 1000) {
		give_up(node, "the good-bye was not answered", GOOD_BYE_MS);
		event_base_loopexit(node->base, NULL);
	}
}

// The administrator's limit holds for everything, also for storage that does not answer.
static void
stop_limit_over(evutil_socket_t fd, short what, void *arg)
{
	struct node *node = arg;

	node->hurry = true;
	if (node->why[0] == '\0')
		give_up(node, "the stop did not end", node->stop_limit_ms);
	event_base_loopexit(node->base, NULL);
}

void
node_stop_within(struct node *node, uint32_t ms)
{
	struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	if (node->stop_limit == NULL || node->left)
		return;
	node->stop_limit_ms = ms;
	evtimer_add(node->stop_limit, &limit);
}

void
node_stopped(struct node *node, enum hvfs_error error)
{
	char why[200];

	snprintf(why, sizeof(why), "not everything could be flushed: %s", hvfs_error_text(error));
	if (error != ERR_OK)
		fail(node, why);
	event_base_loopexit(node->base, NULL);
}

// ---- Signals ----

// SIGHUP, when the terminal goes away, may come twice, and beside a SIGTERM: it never means that somebody is in a hurry.
static void
signal_caught(evutil_socket_t number, short what, void *arg)
{
	struct node *node = arg;

	if (!node->stopping) {
		node_stop(node, number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "SIGHUP");
		return;
	}
	if (number == SIGHUP)
		return;
	fail(node, "told a second time to stop, before everything was flushed");
	node->hurry = true;
	event_base_loopexit(node->base, NULL);
}

// As under nohup.
static bool
is_ignored(int number)
{
	struct sigaction now;

	return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int
node_signals_init(struct node *node)
{
	static const int numbers[NODE_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < NODE_SIGNALS; i++) {
		if (numbers[i] == SIGHUP && is_ignored(SIGHUP))
			continue;
		node->signals[i] = evsignal_new(node->base, numbers[i], signal_caught, node);
		if (node->signals[i] == NULL || event_add(node->signals[i], NULL) != 0)
			return -1;
	}
	node->stop_timer = evtimer_new(node->base, stop_timed_out, node);
	node->stop_limit = evtimer_new(node->base, stop_limit_over, node);
	node->stop_watch = event_new(node->base, -1, EV_PERSIST, stop_watched, node);
	return node->stop_timer != NULL && node->stop_limit != NULL && node->stop_watch != NULL ? 0 : -1;
}

// ---- The end ----

static void
signals_fini(struct node *node)
{
	for (size_t i = 0; i < NODE_SIGNALS; i++) {
		if (node->signals[i] != NULL)
			event_free(node->signals[i]);
		node->signals[i] = NULL;
	}
	if (node->stop_timer != NULL)
		event_free(node->stop_timer);
	node->stop_timer = NULL;
}

static void
limits_fini(struct node *node)
{
	if (node->stop_limit != NULL)
		event_free(node->stop_limit);
	if (node->stop_watch != NULL)
		event_free(node->stop_watch);
	node->stop_limit = node->stop_watch = NULL;
	free(node->waiting_told);
	node->waiting_told = NULL;
}

// By a thread, or the storage itself: left in a hurry.
static bool
stores_are_used(const struct node *node)
{
	return node->store_operations > 0 || node->sealing != NULL || worker_is_busy(node->worker);
}

// Signals have their ordinary effect from here on: who asks again has waited long enough.
void
node_leave(struct node *node)
{
	signals_fini(node);
	node_end_batch(node); // the core's last messages
	node->left = true;    // requests of the driver end now; the core must not see them any more
	if (node->cookies != NULL)
		cookies_give_up(node->cookies);
	if (node->driver != NULL)
		driver_destroy(node->driver);
	node->driver = NULL;
	node_parent_fini(node);
	node_links_fini(node);
	while ((node->store_operations > 0 || worker_is_busy(node->worker) || node_cache_disk_is_busy(node) ||
		node_journal_is_busy(node)) &&
	       !node->hurry)
		event_base_loop(node->base, EVLOOP_ONCE);
	if (!node->hurry) { // what links have left there reads what the root knows
		sealing_destroy(node->sealing);
		node->sealing = NULL;
	}
	limits_fini(node);
	if (node->in_order && node->status == 0)
		node_stores_set_clean(node);
	for (uint32_t i = 0; i < LIMIT_VOLUMES && !stores_are_used(node); i++)
		node_store_close(&node->volumes[i]);
	if (node->control != NULL)
		control_tell_stopped(node->control, node->why[0] != '\0' ? node->why : NULL);
	if (node->running)
		log_info("stopped");
}
