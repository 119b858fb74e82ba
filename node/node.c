// SPDX-License-Identifier: MIT
// Putting a node together and taking it apart. What can fail without leaving a trace comes first (checks, storage),
// what others see last (sockets, then the mount).
#include "node/internal.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

enum { BLOCK_SIZE_USUAL = 4096 };

// As many links as the system lets us have.
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("can not raise the limit of open files");
}

// A disk that waits for this process must not be waited for by this process when memory is short.
static void
become_io_flusher(void)
{
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) != 0)
		log_debug("not permitted to be an I/O flusher; under memory pressure a loop device on the mount may "
			  "stall");
}

static void
trace_line(void *arg, const char *line)
{
	log_debug("%s", line);
}

static uint64_t
random_nonzero(void)
{
	uint64_t value;

	do
		randombytes_buf(&value, sizeof(value));
	while (value == 0);
	return value;
}

static void
core_configure(const struct node *node, const struct volume *opened, uint32_t block_size, struct core_config *ret)
{
	const struct node_config *config = &node->config;

	core_config_default(ret);
	ret->name = config->name;
	ret->node_id = random_nonzero();
	ret->session_seed = random_nonzero();
	ret->epoch = 1;
	for (size_t i = 0; i < LIMIT_VOLUMES; i++)
		if (opened[i].store != NULL && opened[i].store->epoch > ret->epoch)
			ret->epoch = opened[i].store->epoch;
	ret->ttl_ms = config->ttl_ms;
	ret->hb_ttl_ms = config->hb_ttl_ms;
	ret->io_timeout_ms = config->io_timeout_ms;
	ret->writeback_ms = config->writeback_ms;
	ret->dirty_max = node_dirty_max(node);
	ret->push_blocks = config->settings.push_size / block_size;
	ret->directory_max = config->directory_max;
	ret->readahead_blocks = config->readahead_size / block_size;
	ret->write_mode = config->settings.write_mode;
	ret->durability = config->settings.durability;
	ret->disconnect_ms = config->settings.disconnect_ms;
	ret->grace_ms = node_stores_grace_ms(opened);
	ret->journal = config->journal[0] != '\0';
	ret->has_driver = config->mount[0] != '\0';
	ret->has_parent = config->parent_count > 0;
	ret->right_of = node_access_right;
	ret->right_arg = (void *)(uintptr_t)node;
	ret->listens = config->listen_count > 0;
	ret->trace = trace_line; // the level may change
}

// The smallest block of the volumes known now; a child learns its own later.
static uint32_t
cache_block_size(const struct volume *opened)
{
	uint32_t block_size = 0;

	for (size_t i = 0; i < LIMIT_VOLUMES; i++)
		if (opened[i].store != NULL && (block_size == 0 || opened[i].store->block_size < block_size))
			block_size = opened[i].store->block_size;
	return block_size != 0 ? block_size : BLOCK_SIZE_USUAL;
}

static int
core_start(struct node *node, const struct volume *opened, char *error, size_t error_size)
{
	uint32_t block_size = cache_block_size(opened);
	struct core_config config;
	struct copies copies;

	node->cache = stack_create(block_size, node->config.levels, node->config.level_count);
	copies = stack_copies(node->cache);
	if (node->freshness != NULL)
		freshness_watch(node->freshness);
	node->block_size = block_size;
	core_configure(node, opened, block_size, &config);
	if (node_cache_disk_open(node, error, error_size) != 0)
		return -1;
	node->core = core_create(&config, &copies);
	return 0;
}

bool
node_has_sealed_volumes(const struct node *node)
{
	for (size_t i = 0; i < node->config.volume_count; i++)
		if (node->config.volumes[i].key != NULL)
			return true;
	return false;
}

static int
sealing_init(struct node *node, char *error, size_t error_size)
{
	bool any = node_has_sealed_volumes(node);

	node->sealing = any ? sealing_create(node->base) : NULL;
	node->cookies = any ? cookies_create(node) : NULL;
	node->freshness = any ? freshness_create(node) : NULL;
	if (!any || node->sealing != NULL)
		return 0;
	snprintf(error, error_size, "there is no memory for the threads of sealed volumes");
	return -1;
}

static int
node_assemble(struct node *node, struct volume *opened, char *error, size_t error_size)
{
	node->base = event_base_new();
	node->worker = node->base != NULL ? worker_create(node->base) : NULL;
	if (node->worker == NULL || node_perform_init(node) != 0 || node_signals_init(node) != 0 ||
	    node_cache_init(node) != 0) {
		snprintf(error, error_size, "the event loop can not be started");
		return -1;
	}
	if (node_access_init(node, error, error_size) != 0 || sealing_init(node, error, error_size) != 0)
		return -1;
	if (node_cache_disk_init(node, error, error_size) != 0 || node_journal_init(node, error, error_size) != 0 ||
	    node_volumes_open(node, opened, error, error_size) != 0)
		return -1;
	if (core_start(node, opened, error, error_size) != 0)
		return -1;
	if (node_volumes_add(node, opened, error, error_size) != 0 || node_journal_open(node, error, error_size) != 0)
		return -1;
	if (node->config.control[0] != '\0') {
		node->control = control_create(node, node->config.control, error, error_size);
		if (node->control == NULL)
			return -1;
	}
	if (node_links_init(node, error, error_size) != 0 || node_parent_init(node, error, error_size) != 0)
		return -1;
	if (node_mount(node, error, error_size) != 0)
		return -1;
	if (node->config.confine != NULL && node->config.confine(node->config.confine_arg, node, error, error_size) != 0)
		return -1;
	return node_stores_set_lease(node, error, error_size); // last: who could not start has given nothing
}

struct node *
node_create(const struct node_config *config, void (*ready)(void *arg), void (*failed)(void *arg, const char *text),
	    void *arg, char *error, size_t error_size)
{
	struct volume *opened;
	struct node *node;
	int rc;

	if (node_config_check(config, error, error_size) != 0)
		return NULL;
	CHECK(sodium_init() >= 0);
	node = calloc(1, sizeof(*node));
	opened = calloc(LIMIT_VOLUMES, sizeof(*opened));
	CHECK(node != NULL && opened != NULL);
	node->config = *config;
	node->ready = ready;
	node->failed = failed;
	node->arg = arg;
	node->started = node_now();
	node->timer_fd = -1;
	raise_file_limit();
	if (config->mount[0] != '\0')
		become_io_flusher();
	rc = node_assemble(node, opened, error, error_size);
	for (size_t i = 0; i < LIMIT_VOLUMES; i++)
		node_store_close(&opened[i]);
	for (size_t i = 0; i < LIMIT_VOLUMES; i++)
		volume_key_destroy(opened[i].carrier);
	free(opened);
	if (rc == 0)
		return node;
	node_destroy(node);
	return NULL;
}

int
node_run(struct node *node)
{
	uint32_t grace_ms = node_stores_grace_ms(node->volumes);

	node->running = true;
	if (grace_ms > 0)
		log_warnx("the root before did not leave in order: for %" PRIu32
			  " ms those who hold something of it may come back with it, or go on reading, and nobody else is served",
			  grace_ms);
	for (uint32_t i = 0; i < core_volume_count(node->core); i++)
		if (node->volumes[i].store != NULL)
			node_volume_ready(node, i);
	node_check_ready(node);
	node_parent_start(node);
	node_cache_disk_start(node);
	node_feed(node, &(struct event){.type = EVENT_TIMER});
	event_base_dispatch(node->base);
	node_leave(node);
	return node->status;
}

void
node_destroy(struct node *node)
{
	if (node == NULL)
		return;
	if (!node->left && node->base != NULL)
		node_leave(node);
	if (node->store_operations > 0 || worker_is_busy(node->worker) || node_cache_disk_is_busy(node) ||
	    node_journal_is_busy(node))
		return; // left in a hurry: storage still has our buffers, and the process ends
	sealing_destroy(node->sealing); // its buffers are the core's
	cookies_destroy(node->cookies);
	freshness_destroy(node->freshness);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		node_store_close(&node->volumes[i]);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		node_rescue_fini(&node->volumes[i]);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		free(node->volumes[i].latencies);
	node_journal_fini(node);
	if (node->cache != NULL)
		stack_abandon_disk(node->cache);
	if (node->core != NULL)
		core_destroy(node->core);
	stack_destroy(node->cache);
	control_destroy(node->control);
	worker_destroy(node->worker);
	node_cache_change_fini(node);
	node_cache_fini(node);
	node_cache_disk_fini(node);
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++) {
		sealed_form_destroy(node->volumes[i].cache_form);
		sealed_form_destroy(node->volumes[i].journal_form);
		volume_key_destroy(node->volumes[i].carrier);
	}
	node_perform_fini(node);
	node_access_fini(node);
	acl_destroy(node->acl);
	if (node->base != NULL)
		event_base_free(node->base);
	free(node);
}
