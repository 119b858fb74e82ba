// SPDX-License-Identifier: MIT
// What `hvfs status --json` prints. Keys are a contract: more may come, none go.
#include "node/internal.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

// A name from the network may be anything; JSON takes UTF-8 only.
static json_t *
text(const char *bytes)
{
	json_t *value = json_string(bytes);

	return value != NULL ? value : json_string("?");
}

static const char *
volume_role(const struct node *node, const struct volume_info *info)
{
	if (info->is_root)
		return "root";
	return node->config.listen_count > 0 ? "proxy" : "leaf";
}

static const char *
volume_phase(const struct volume *volume, const struct volume_info *info)
{
	static const char *const names[] = {
		[PHASE_STARTING] = "starting", [PHASE_GRACE] = "grace",   [PHASE_SERVING] = "serving",
		[PHASE_CUT_OFF] = "cut-off",   [PHASE_LAPSED] = "lapsed", [PHASE_RECOVERING] = "recovering",
		[PHASE_STOPPING] = "stopping", [PHASE_ABORTED] = "aborted",
	};

	return volume->aborted ? names[PHASE_ABORTED] : names[info->phase];
}

static const char *
child_phase(const struct child_info *child)
{
	static const char *const names[] = {
		[CHILD_CONNECTED] = "connected",
		[CHILD_ABSENT] = "absent",
		[CHILD_LAPSED] = "lapsed",
		[CHILD_EVICTING] = "evicting",
	};

	return names[child->phase];
}

static json_int_t
ms_since(const struct node *node, moment_us since)
{
	if (since < node->started)
		since = node->started;
	return (json_int_t)((node_now() - since) / 1000);
}

// Who is at the other end, "" of a link that is gone.
static json_t *
peer_text(const struct node_link *link)
{
	char text[PEER_TEXT_SIZE];

	return json_string(link != NULL ? peer_print(&link->peer, text) : "");
}

static json_t *
volume_parent(const struct node *node, const struct volume *volume, const struct volume_info *info)
{
	json_t *ancestors, *parent;
	const char *address;

	if (info->is_root)
		return json_pack("{sosssi}", "addr", text(volume->store_name), "state", "store", "lease_ms", -1);
	ancestors = json_array();
	for (uint32_t i = 0; (address = core_ancestor_address(node->core, i)) != NULL; i++)
		json_array_append_new(ancestors, text(address));
	parent = json_pack("{sosssIsoso}", "addr", text(node_parent_address(node)), "state",
			   info->parent_connected ? "connected" : info->parent_denies ? "denied" : "connecting", "lease_ms",
			   (json_int_t)info->parent_lease_ms, "configured", text(node->config.parents[0].text), "ancestors",
			   ancestors);
	json_object_set_new(parent, "peer", peer_text(node->parent));
	json_object_set_new(parent, "is_other", json_boolean(node_parent_is_other(node)));
	if (!info->parent_connected)
		json_object_set_new(parent, "away_ms", json_integer(ms_since(node, node->parent_lost)));
	return parent;
}

static json_t *
volume_children(const struct node *node, uint32_t index)
{
	json_t *children = json_array();
	struct child_info child;

	for (uint32_t at = 0; core_child_info(node->core, &at, node_now(), &child);) {
		const struct node_link *link = child.link >= 0 ? node->links[child.link] : NULL;

		if (child.volume != index)
			continue;
		json_array_append_new(
			children,
			json_pack("{sososssIsIsIsssIsIsososs}", "name", text(child.name), "addr",
				  text(link != NULL ? link_peer(link->link) : ""), "state",
				  child.connected ? "connected" : "absent", "lease_ms", (json_int_t)child.lease_ms,
				  "blocks_read", (json_int_t)child.blocks_read, "blocks_write",
				  (json_int_t)child.blocks_write, "phase", child_phase(&child), "phase_ms",
				  ms_since(node, child.phase_since), "blocks_frozen",
				  (json_int_t)(child.connected ? 0 : child.blocks_write), "peer", peer_text(link),
				  "label", text(link != NULL ? acl_label(node->acl, &link->peer) : ""), "right",
				  right_name(child.right)));
	}
	return children;
}

static const char *
level_state(const struct stack_level_stats *stats)
{
	return stats->leaving ? "leaving" : stats->busy ? "changing" : "steady";
}

static json_t *
cache_level(const struct node *node, uint32_t position)
{
	struct stack_level_stats stats;
	json_t *level;

	stack_get_level_stats(node->cache, position, &stats);
	level = json_pack("{sisssIsisssssIsIsIsIsIsIsIsI}", "level", (int)position, "kind", "mem", "size",
			  (json_int_t)stats.config.size, "ways", (int)stats.config.ways, "hash",
			  hash_name(stats.config.hash), "policy", policy_name(stats.config.policy), "used",
			  (json_int_t)stats.used, "entries", (json_int_t)stats.entries, "dirty", (json_int_t)stats.dirty,
			  "hits", (json_int_t)stats.hits, "misses", (json_int_t)stats.misses, "evictions",
			  (json_int_t)stats.evicted, "promotions", (json_int_t)stats.promoted_in, "demotions",
			  (json_int_t)stats.demoted_out);
	json_object_set_new(level, "promotions_out", json_integer((json_int_t)stats.promoted_out));
	json_object_set_new(level, "demotions_in", json_integer((json_int_t)stats.demoted_in));
	json_object_set_new(level, "index_bytes", json_integer((json_int_t)stats.index));
	json_object_set_new(level, "state", json_string(level_state(&stats)));
	json_object_set_new(level, "moving", json_integer((json_int_t)stats.moving));
	json_object_set_new(level, "moving_total", json_integer((json_int_t)stats.moving_total));
	return level;
}

// The level on a disk, in ${state}.
static json_t *
cache_disk(const struct node *node, const struct cache_disk_config *config, const struct disk_level_stats *stats, const char *state,
	   uint64_t moving, uint64_t moving_total)
{
	uint64_t hits, misses;
	json_t *level;

	stack_get_disk_lookups(node->cache, &hits, &misses);
	level = json_pack("{sisssIsisssssIsIsisIsIsIsIsI}", "level", (int)stack_level_count(node->cache), "kind", "disk", "size",
			  (json_int_t)stats->config.size, "ways", (int)stats->config.ways, "hash",
			  hash_name(stats->config.hash), "policy", policy_name(stats->config.policy), "used",
			  (json_int_t)stats->used, "entries", (json_int_t)stats->entries, "dirty", 0, "hits",
			  (json_int_t)hits, "misses", (json_int_t)misses, "evictions", (json_int_t)stats->replaced,
			  "promotions", (json_int_t)0, "demotions", (json_int_t)0);
	json_object_set_new(level, "promotions_out", json_integer((json_int_t)hits));
	json_object_set_new(level, "demotions_in", json_integer((json_int_t)stats->written));
	json_object_set_new(level, "index_bytes", json_integer((json_int_t)stats->index));
	json_object_set_new(level, "state", json_string(state));
	json_object_set_new(level, "moving", json_integer((json_int_t)moving));
	json_object_set_new(level, "moving_total", json_integer((json_int_t)moving_total));
	json_object_set_new(level, "path", text(config != NULL ? config->path : ""));
	json_object_set_new(level, "slot_size", json_integer((json_int_t)stats->slot_size));
	json_object_set_new(level, "found", json_integer((json_int_t)stats->found));
	json_object_set_new(level, "unconfirmed", json_integer((json_int_t)stats->unknown));
	json_object_set_new(level, "confirmed", json_integer((json_int_t)stats->confirmed));
	json_object_set_new(level, "damaged", json_integer((json_int_t)stats->damaged));
	json_object_set_new(level, "written", json_integer((json_int_t)stats->written));
	json_object_set_new(level, "not_written", json_integer((json_int_t)stats->passed));
	json_object_set_new(level, "victims", json_integer((json_int_t)stats->waiting));
	json_object_set_new(level, "errors", json_integer((json_int_t)(stats->errors + stats->damaged)));
	json_object_set_new(level, "refused", json_integer((json_int_t)stats->refused));
	json_object_set_new(level, "error", text(stats->sys_errno != 0 ? strerror(stats->sys_errno) : ""));
	return level;
}

// The one that is used, or leaves for good; or one that is being opened. NULL: there is none.
static json_t *
cache_lowest(const struct node *node)
{
	bool leaves = stack_disk(node->cache) == NULL, follows;
	const struct disk_level *disk = leaves ? stack_leaving_disk(node->cache) : stack_disk(node->cache);
	const struct cache_disk_config *config;
	struct disk_level_stats stats = {0};
	uint64_t moving, total;

	if (disk != NULL) {
		disk_level_get_stats(disk, &stats);
		stack_get_disk_change(node->cache, &moving, &total, &follows);
		return cache_disk(node, node_cache_disk_config(node), &stats,
				  leaves ? "leaving" : stats.sys_errno != 0 ? "failed" : follows ? "changing" : "steady", moving, total);
	}
	config = node_cache_disk_opening(node, &moving, &total);
	if (config == NULL)
		return NULL;
	stats.config = config->level;
	stats.slot_size = config->slot_size;
	return cache_disk(node, config, &stats, "opening", moving, total);
}

static json_t *
cache_levels(const struct node *node)
{
	json_t *levels = json_array(), *lowest = cache_lowest(node);

	for (uint32_t i = 0; i < stack_level_count(node->cache); i++)
		json_array_append_new(levels, cache_level(node, i));
	if (lowest != NULL)
		json_array_append_new(levels, lowest);
	return levels;
}

// Bytes of all buffers: of the cache, and of what is on its way to or from somewhere. Volumes may share a pool.
static uint64_t
buffer_bytes(const struct node *node)
{
	const struct buf_pool *pools[LIMIT_VOLUMES];
	uint32_t count = 0;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		struct volume_info info;
		uint32_t at = 0;

		core_volume_info(node->core, i, node_now(), &info);
		while (at < count && pools[at] != info.pool)
			at++;
		if (info.pool == NULL || at < count)
			continue;
		pools[count++] = info.pool;
		bytes += (uint64_t)buf_pool_used(info.pool) * info.block_size;
	}
	return bytes;
}

static json_t *
memory_status(const struct node *node)
{
	uint64_t used = buffer_bytes(node);
	struct stack_stats stats;

	stack_get_stats(node->cache, &stats);
	return json_pack("{sIsIsIsIsIsIsIsIsIsI}", "size", (json_int_t)stats.size, "used", (json_int_t)used, "cached",
			 (json_int_t)stats.used, "beyond", (json_int_t)(used > stats.size ? used - stats.size : 0), "index_bytes",
			 (json_int_t)stats.index, "victims", (json_int_t)stats.victims, "victims_bytes",
			 (json_int_t)stats.victims_used, "dirty", (json_int_t)stats.dirty, "pinned", (json_int_t)stats.pinned,
			 "copied_bytes", (json_int_t)buf_copied());
}

json_t *
node_cache_status(const struct node *node)
{
	return json_pack("{soso}", "cache", cache_levels(node), "memory", memory_status(node));
}

static json_t *
volume_rescued(const struct volume *volume)
{
	const char *path;
	uint64_t bytes = node_rescued(volume, &path);
	char file[PATH_MAX + 8] = "";

	if (path[0] != '\0')
		snprintf(file, sizeof(file), "%s.img", path);
	return json_pack("{sIso}", "bytes", (json_int_t)bytes, "file", text(file));
}

static json_t *
volume_counters(const struct volume_info *info)
{
	return json_pack("{sIsIsIsIsIsIsIsIsIsIsIsIsIsIsI}", "reads", (json_int_t)info->reads, "writes", (json_int_t)info->writes,
			 "read_hits", (json_int_t)info->read_hits, "write_hits", (json_int_t)info->write_hits,
			 "fetched", (json_int_t)info->fetched, "flushed", (json_int_t)info->flushed, "recalled",
			 (json_int_t)info->recalled, "pushed_in", (json_int_t)info->pushed_in, "pushed_used",
			 (json_int_t)info->pushed_used, "pushed_back", (json_int_t)info->pushed_back, "pushed_out",
			 (json_int_t)info->pushed_out, "ahead_asked", (json_int_t)info->ahead_asked, "ahead_used",
			 (json_int_t)info->ahead_used, "ahead_lost", (json_int_t)info->ahead_lost, "ahead_late",
			 (json_int_t)info->ahead_late);
}

static json_t *
latency_status(const struct latency *latency)
{
	json_t *buckets = json_array();

	for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
		if (latency->buckets[i] > 0)
			json_array_append_new(buckets, json_pack("[II]", (json_int_t)latency_bucket_max(i),
								 (json_int_t)latency->buckets[i]));
	return json_pack("{sIsIsIsIsIsIsIso}", "count", (json_int_t)latency->count, "sum_us", (json_int_t)latency->sum_us, "p50_us",
			 (json_int_t)latency_quantile(latency, 0.5), "p90_us", (json_int_t)latency_quantile(latency, 0.9), "p99_us",
			 (json_int_t)latency_quantile(latency, 0.99), "p999_us", (json_int_t)latency_quantile(latency, 0.999),
			 "max_us", (json_int_t)latency->max_us, "buckets", buckets);
}

static json_t *
volume_latencies(const struct volume *volume)
{
	return json_pack("{sososo}", "read", latency_status(&volume->latencies[LATENCY_READ]), "write",
			 latency_status(&volume->latencies[LATENCY_WRITE]), "fsync",
			 latency_status(&volume->latencies[LATENCY_FSYNC]));
}

static json_t *
volume_status(const struct node *node, uint32_t index)
{
	const struct volume *volume = &node->volumes[index];
	struct volume_info info;
	json_t *status, *news;

	core_volume_info(node->core, index, node_now(), &info);
	status = json_pack("{sosssbsbsIsIsIsIsIsI}", "name", text(info.name), "role", volume_role(node, &info), "ready",
			   info.ready, "read_only", info.read_only, "block_size", (json_int_t)info.block_size, "size",
			   (json_int_t)info.size, "dirty_bytes", (json_int_t)(info.dirty_blocks * info.block_size),
			   "blocks_read", (json_int_t)info.blocks_held_read, "blocks_write",
			   (json_int_t)info.blocks_held_write, "table_blocks", (json_int_t)info.table_blocks);
	json_object_set_new(status, "phase", json_string(volume_phase(volume, &info)));
	json_object_set_new(status, "phase_ms", json_integer(ms_since(node, info.phase_since)));
	json_object_set_new(status, "unstable_bytes",
			    json_integer((json_int_t)(info.unstable_blocks * info.block_size)));
	json_object_set_new(status, "waiting", json_integer((json_int_t)info.waiting));
	json_object_set_new(status, "parent", volume_parent(node, volume, &info));
	json_object_set_new(status, "children", volume_children(node, index));
	json_object_set_new(status, "cache", cache_levels(node));
	json_object_set_new(status, "counters", volume_counters(&info));
	json_object_set_new(status, "rescued", volume_rescued(volume));
	if (volume->latencies != NULL)
		json_object_set_new(status, "latency", volume_latencies(volume));
	if (volume->key != NULL)
		json_object_set_new(status, "unproven_messages", json_integer((json_int_t)volume->unproven));
	news = node->freshness != NULL ? freshness_status(node->freshness, index) : NULL;
	if (news != NULL)
		json_object_set_new(status, "news", news);
	if (volume->store != NULL)
		json_object_set_new(status, "engine", text(volume->store->engine));
	if (volume->store != NULL && volume->key != NULL)
		json_object_set_new(status, "at_rest", json_string(volume->rest != NULL ? "sealed" : "plain"));
	if (volume->rest != NULL)
		json_object_set_new(status, "damaged_blocks", json_integer((json_int_t)volume->damaged));
	return status;
}

static json_t *
directory_status(const struct node *node)
{
	struct directory_info info;

	core_directory_info(node->core, &info);
	return json_pack("{sIsIsI}", "records", (json_int_t)info.records, "limit", (json_int_t)info.max, "recalled",
			 (json_int_t)info.open_recalls);
}

// null: it has no key.
static json_t *
node_fingerprint(const struct node *node)
{
	char text[FINGERPRINT_TEXT_SIZE];

	if (node->identity == NULL)
		return json_null();
	return json_string(fingerprint_print(identity_fingerprint(node->identity), text));
}

json_t *
node_status(struct node *node)
{
	json_t *status;
	json_t *volumes = json_array(), *listen = json_array();
	char write_mode[SETTINGS_TEXT_SIZE], durability[SETTINGS_TEXT_SIZE], disconnect[SETTINGS_TEXT_SIZE];

	for (uint32_t i = 0; i < core_volume_count(node->core); i++)
		json_array_append_new(volumes, volume_status(node, i));
	for (size_t i = 0; i < node->config.listen_count; i++)
		json_array_append_new(listen, text(node->config.listens[i].text));
	status = json_pack("{sosssisIsssssssbsbsososo}", "node", text(node->config.name), "version", HVFS_VERSION, "pid",
			 (int)getpid(), "uptime_ms", (json_int_t)((node_now() - node->started) / 1000), "write_mode",
			 settings_print(&node->config.settings, "write-mode", write_mode), "durability",
			 settings_print(&node->config.settings, "durability", durability), "on_disconnect",
			 settings_print(&node->config.settings, "on-disconnect", disconnect), "ready", node->is_ready, "stopping", node->stopping,
			 "mount", text(node->driver != NULL && !node->unmounted ? driver_directory(node->driver) : ""), "listen", listen, "volumes", volumes);
	json_object_set_new(status, "fingerprint", node_fingerprint(node));
	json_object_set_new(status, "directory", directory_status(node));
	json_object_set_new(status, "memory", memory_status(node));
	json_object_set_new(status, "journal", node_journal_status(node));
	return status;
}
