// SPDX-License-Identifier: MIT
// Volumes come from storage (this node is their root: size known at once) or from a parent (known when it answered).
// Each becomes a file of the mount as soon as its size is known; the node is ready when that is so for all of them.
#include "node/internal.h"
#include "node/stores.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// As what the storage is to be opened, of which nothing is on record yet.
static int
find_new_form(const struct node_volume *config, bool read_only, enum rest_form *ret, char *error, size_t error_size)
{
	int has_data = config->at_rest == AT_REST_PLAIN ? 0 : rest_has_data(config->store);

	if (has_data < 0)
		snprintf(error, error_size, "%s: whether it has data can not be found: %s", config->store, strerror(-has_data));
	if (has_data > 0)
		snprintf(error, error_size,
			 "%s: has data, and nothing beside it (.seals) that says it is sealed; right would be --at-rest "
			 "%s=plain, which leaves it as it is, or to copy it through a mount into a new one",
			 config->store, config->name);
	*ret = config->at_rest == AT_REST_PLAIN || read_only ? REST_PLAIN : REST_SEALED;
	return has_data == 0 ? 0 : -1;
}

static int
find_form(const struct node_volume *config, bool read_only, enum rest_form *ret, char *error, size_t error_size)
{
	*ret = sealed_root_form(config->store);
	if (*ret == REST_UNKNOWN)
		return find_new_form(config, read_only, ret, error, error_size);
	if (config->at_rest == AT_REST_DEFAULT || (config->at_rest == AT_REST_SEALED) == (*ret == REST_SEALED))
		return 0;
	snprintf(error, error_size,
		 "--at-rest %s=%s: %s is %s; to change that, copy it through a mount into a new one", config->name,
		 config->at_rest == AT_REST_SEALED ? "sealed" : "plain", config->store,
		 *ret == REST_SEALED ? "sealed" : "plain");
	return -1;
}

// Nobody reads the volume here who would need it in the clear, unless there is a mount.
static int
open_rest(struct node *node, const struct node_volume *config, struct volume *opened, char *error, size_t error_size)
{
	bool is_plain = node->config.mount[0] != '\0';
	const struct sealed_root *root = opened->sealed_root != NULL ? opened->sealed_root : opened->rest_root;

	opened->rest = rest_open(config->store, opened->store->block_size, config->key, root, is_plain, !opened->may_write,
				 error, error_size);
	if (opened->rest != NULL)
		rest_set_epoch(opened->rest, opened->store->epoch, opened->store->clean_before);
	if (opened->rest != NULL && !is_plain) {
		opened->carrier = volume_key_restrict(config->key, VOLUME_ROLE_PROXY);
		CHECK(opened->carrier != NULL);
	}
	return opened->rest != NULL ? 0 : -1;
}

// What there is beside the storage of a sealed volume.
static int
open_sealed(struct node *node, const struct node_volume *config, struct volume *opened, char *error, size_t error_size)
{
	bool is_known = sealed_root_form(config->store) != REST_UNKNOWN;
	enum rest_form form;
	struct sealed_root *root = NULL;

	if (find_form(config, !opened->may_write, &form, error, error_size) != 0)
		return -1;
	if (opened->may_write || is_known) // else there is nothing beside it, and nobody may change that
		root = sealed_root_open(config->store, opened->store->size / opened->store->block_size, config->key, form,
					!opened->may_write, error, error_size);
	if (root == NULL && (opened->may_write || is_known))
		return -1;
	*(opened->may_write ? &opened->sealed_root : &opened->rest_root) = root;
	return form == REST_SEALED ? open_rest(node, config, opened, error, error_size) : 0;
}

// What is on the storage of ${block}, that the file of its seals does not know.
static bool
look_at_stored(const struct node_volume *config, const struct volume *opened, int fd, const struct stored_version *stored, struct sealed_entry *entry)
{
	if (opened->rest != NULL && !rest_sealed_as(opened->rest, stored->block, entry))
		return false;
	if (opened->rest == NULL)
		*entry = (struct sealed_entry){.sealed = stored->low};
	if (entry->sealed == 0)
		entry->sealed = stored->low;
	entry->protocol = stored->low > entry->sealed ? stored->low : entry->sealed;
	// Else newer bytes may be there.
	return opened->rest != NULL || stored->low != stored->high ||
	       own_seals_find(config->key, fd, opened->store->block_size, stored->block, entry);
}

static int
note_all_stored(const struct node_volume *config, const struct volume *opened, int fd)
{
	const struct stored_versions *versions = opened->store->versions;
	struct sealed_root *root = opened->sealed_root;

	for (size_t i = 0; i < versions->count; i++) {
		const struct stored_version *stored = &versions->list[i];
		struct sealed_entry entry;
		int sys_errno = sealed_root_read(root, stored->block, 1, &entry);

		if (sys_errno != 0)
			return sys_errno;
		if (stored->low <= entry.protocol || !look_at_stored(config, opened, fd, stored, &entry))
			continue;
		sealed_root_wrote(root, stored->block, &entry);
		sealed_root_stored(root, stored->block, 1);
	}
	return sealed_root_finish(root);
}

// A root that was killed has brought to the storage what the file of its seals does not have: its version log tells of that. Who
// brings it once more hears that it is there (protocol.md, F6), and it is not written again; so the file gets it now, or its author
// could never prove a fsync. Of what has no verifier it is not known as which version it was sealed, but that is not above the one
// that it has; which content it would be as that is found by sealing it so.
static int
note_stored(const struct node_volume *config, const struct volume *opened, char *error, size_t error_size)
{
	int fd = open(config->store, O_RDONLY | O_CLOEXEC);
	int sys_errno = fd >= 0 ? note_all_stored(config, opened, fd) : errno;

	if (fd >= 0)
		close(fd);
	if (sys_errno == 0)
		return 0;
	snprintf(error, error_size, "%s: what is known of its seals: %s", config->store, strerror(sys_errno));
	return -1;
}

// Storage is opened before there is a core: its epochs and block sizes are the core's configuration.
int
node_volumes_open(struct node *node, struct volume opened[LIMIT_VOLUMES], char *error, size_t error_size)
{
	for (size_t i = 0; i < node->config.volume_count; i++) {
		const struct node_volume *volume = &node->config.volumes[i];

		if (volume->store[0] == '\0')
			continue;
		if (node_store_open(&opened[i], volume->store, volume->read_only || node->config.read_only, error,
				    error_size) != 0)
			return -1;
		if (volume->key == NULL)
			continue;
		opened[i].news_log = news_log_create(opened[i].may_write ? NEWS_LOG_RUNS : 1);
		if (open_sealed(node, volume, &opened[i], error, error_size) != 0 ||
		    (opened[i].sealed_root != NULL && note_stored(volume, &opened[i], error, error_size) != 0))
			return -1;
	}
	return 0;
}

// Whose claims are void: needed when children of the root before may come with some.
static int
volume_add_record(struct node *node, uint32_t index)
{
	const struct store *store = node->volumes[index].store;

	if (store != NULL) {
		core_set_claims_since(node->core, index, store->claims_since);
		core_set_reclaims(node->core, index, store->reclaims, store->reclaim_count);
	}
	for (size_t i = 0; store != NULL && node->volumes[index].may_write && i < store->eviction_count; i++)
		if (core_add_eviction(node->core, index, store->evictions[i].node_id, store->evictions[i].session) != 0)
			return -1;
	return 0;
}

// What the storage has, where the root before has left it in the midst of something.
static void
volume_add_versions(struct node *node, uint32_t index)
{
	struct volume *volume = &node->volumes[index];
	const struct stored_versions *versions;

	if (volume->store == NULL || !volume->may_write)
		return;
	versions = volume->store->versions;
	for (size_t i = 0; i < versions->count; i++)
		core_add_stored_version(node->core, index, versions->list[i].block, versions->list[i].low,
					versions->list[i].high);
	if (versions->complete)
		core_set_versions_complete(node->core, index, versions->epoch);
	if (!volume->store->clean_before && !versions->complete)
		log_warnx("%s: its version log does not tell which versions all its blocks have: %s; where that counts, "
			  "bytes that are brought again are refused",
			  volume->store_name, versions->why);
	store_forget_versions(volume->store);
}

static void
volume_add_key(struct node *node, uint32_t index)
{
	struct volume *volume = &node->volumes[index];

	core_set_volume_key(node->core, index, volume_key_id(volume->key));
	volume->cache_form = sealed_form_create(volume->carrier != NULL ? volume->carrier : volume->key);
	volume->journal_form = sealed_form_create(volume->key);
	stack_set_form(node->cache, index, volume->cache_form);
}

static int
volume_add(struct node *node, const struct node_volume *config, struct volume *opened)
{
	bool is_reader = config->key != NULL && volume_key_role(config->key) == VOLUME_ROLE_READER;
	bool read_only = config->read_only || node->config.read_only || is_reader;
	int index;

	if (opened->store != NULL)
		index = core_add_root_volume(node->core, config->name, opened->store->size, opened->store->block_size,
					     read_only);
	else
		index = core_add_child_volume(node->core, config->name, read_only);
	if (index < 0)
		return -1;
	node->volumes[index] = *opened;
	opened->store = NULL; // it has moved
	opened->sealed_root = opened->rest_root = NULL;
	opened->rest = NULL;
	opened->carrier = NULL;
	opened->news_log = NULL;
	node->volumes[index].configured = true;
	node->volumes[index].key = config->key;
	if (config->key != NULL)
		volume_add_key(node, (uint32_t)index);
	node_store_watch(node, &node->volumes[index]);
	volume_add_versions(node, (uint32_t)index);
	return volume_add_record(node, (uint32_t)index);
}

int
node_volumes_add(struct node *node, struct volume opened[LIMIT_VOLUMES], char *error, size_t error_size)
{
	for (size_t i = 0; i < node->config.volume_count; i++) {
		if (volume_add(node, &node->config.volumes[i], &opened[i]) == 0)
			continue;
		snprintf(error, error_size,
			 "--volume %s: can not be added; at most %d volumes, with %d evictions each, are allowed",
			 node->config.volumes[i].name, LIMIT_VOLUMES, LIMIT_EVICTIONS);
		return -1;
	}
	return 0;
}

// ---- The driver's calls ----

static void
on_submit(void *arg, struct io *io)
{
	node_feed(arg, &(struct event){.type = EVENT_IO, .io = io});
}

static void
on_cancel(void *arg, struct io *io)
{
	struct node *node = arg;

	if (node->cookies == NULL || !cookies_cancel(node->cookies, io))
		node_feed(node, &(struct event){.type = EVENT_IO_CANCEL, .io = io});
}

static void
on_batch_end(void *arg)
{
	node_end_batch(arg);
}

static bool
children_may_write(struct node *node, uint32_t volume)
{
	struct child_info child;

	for (uint32_t at = 0; core_child_info(node->core, &at, node_now(), &child);)
		if (child.volume == volume && child.blocks_write > 0)
			return true;
	return false;
}

// The storage knows where holes are, as long as nothing newer is elsewhere. In all other cases everything counts as
// data, which is always a right answer.
static uint64_t
on_seek(void *arg, uint32_t index, uint64_t offset, bool data)
{
	struct node *node = arg;
	struct store *store = node->volumes[index].store;
	struct volume_info info;

	core_volume_info(node->core, index, node_now(), &info);
	if (store != NULL && info.dirty_blocks == 0 && !children_may_write(node, index))
		return store->ops->seek(store, offset, data);
	return data && offset < info.size ? offset : info.size;
}

static bool
has_children(struct node *node)
{
	for (uint32_t slot = 0; slot < LIMIT_LINKS; slot++)
		if (node->links[slot] != NULL && node->links[slot]->role == LINK_CHILD)
			return true;
	return false;
}

// A parent that belongs to somebody else may say that the root has what was written. Only a burnt cookie tells (S34), and one
// is burnt for what is on stable storage.
static bool
on_syncs_writes(void *arg, uint32_t index)
{
	const struct node *node = arg;
	const struct volume *volume = &node->volumes[index];

	return node->config.settings.write_mode == WRITE_SYNC && volume->key != NULL && volume->store == NULL;
}

static void
on_unmounted(void *arg)
{
	struct node *node = arg;

	bool goes_on = has_children(node);

	node->unmounted = true;
	if (node->control != NULL && command_unmounted(node->control, goes_on) && goes_on) {
		log_info("unmounted; the node goes on for its children");
		return;
	}
	node_stop(node, "the mount was taken away");
}

static void
on_detached(void *arg, const char *directory)
{
	log_warnx("--mount %s: the node that served it before is gone; its dead mount was taken away", directory);
}

int
node_mount(struct node *node, char *error, size_t error_size)
{
	static const struct driver_callbacks callbacks = {
		.submit = on_submit,
		.cancel = on_cancel,
		.batch_end = on_batch_end,
		.seek = on_seek,
		.syncs_writes = on_syncs_writes,
		.unmounted = on_unmounted,
		.detached = on_detached,
	};
	char source[PATH_MAX + 8] = "hvfs", control[PATH_MAX];
	struct driver_options options = {
		.source = source,
		.directory = node->config.mount,
		.allow_other = node->config.allow_other,
		.allow_root = node->config.allow_root,
		.unmount = node->config.unmount,
		.unmount_arg = node->config.confine_arg,
	};

	if (node->config.mount[0] == '\0')
		return 0;
	if (node->config.control[0] != '\0' && realpath(node->config.control, control) != NULL)
		snprintf(source, sizeof(source), "hvfs:%s", control); // where hvfs umount finds this node
	node->driver = driver_create(node->base, &options, &callbacks, node, error, error_size);
	return node->driver != NULL ? 0 : -1;
}

// ---- Readiness ----

// Also for volumes that only pass through here: children asked for them by name.
void
node_volume_ready(struct node *node, uint32_t index)
{
	struct volume *volume = &node->volumes[index];
	struct volume_info info;

	core_volume_info(node->core, index, node_now(), &info);
	volume->block_size = info.block_size;
	if (volume->ready)
		return;
	volume->ready = true;
	log_info("volume %s: %llu bytes in blocks of %u%s", info.name, (unsigned long long)info.size, info.block_size,
		 info.read_only ? ", read-only" : "");
	if (node->driver != NULL && volume->configured) {
		volume->latencies = calloc(LATENCY_KINDS, sizeof(*volume->latencies));
		CHECK(volume->latencies != NULL);
		driver_add_volume(node->driver, index, info.name, info.size, info.block_size, info.read_only);
	}
	node_check_ready(node);
}

void
node_check_ready(struct node *node)
{
	for (uint32_t i = 0; i < LIMIT_VOLUMES; i++)
		if (node->volumes[i].configured && !node->volumes[i].ready)
			return;
	if (node->is_ready || !node->running || node->stopping || node->failed_told)
		return;
	node->is_ready = true;
	log_info("ready");
	node->ready(node->arg);
}

// May the next try go better by itself?
static bool
error_is_final(enum hvfs_error error)
{
	return error == ERR_NO_VOLUME || error == ERR_REFUSED || error == ERR_DENIED || error == ERR_LOOP || error == ERR_PROTOCOL ||
	       error == ERR_READ_ONLY || error == ERR_TOO_MANY || error == ERR_OUT_OF_RANGE;
}

void
node_volume_failed(struct node *node, const struct action *action)
{
	struct volume_info info;
	const char *text = action->text != NULL ? action->text : hvfs_error_text(action->error);

	core_volume_info(node->core, action->volume, node_now(), &info);
	if (action->error != ERR_DENIED || !node->volumes[action->volume].denied_told)
		log_warnx("volume %s is not given by parent %s: %s", info.name, node_parent_address(node), text);
	if (node->volumes[action->volume].configured && error_is_final(action->error))
		node_fail(node, "--volume %s: not given by parent %s: %s", info.name, node_parent_address(node), text);
	if (action->error != ERR_DENIED)
		return;
	node->volumes[action->volume].denied_told = true;
	node_parent_denies(node, action->volume);
}

void
node_fail(struct node *node, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	if (node->is_ready || node->failed_told || node->stopping)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	node->failed_told = true;
	node->status = 1;
	node->failed(node->arg, text);
	event_base_loopexit(node->base, NULL);
}

uint64_t
node_dirty_bytes(struct node *node, int volume)
{
	struct volume_info info;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < core_volume_count(node->core); i++) {
		if (volume >= 0 && (uint32_t)volume != i)
			continue;
		core_volume_info(node->core, i, node_now(), &info);
		bytes += info.dirty_blocks * info.block_size;
	}
	return bytes;
}
