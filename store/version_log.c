// SPDX-License-Identifier: MIT
// A file begins with a header; then batches follow, each of them the records of blocks that were written, and a marker:
//
//   header  "hvfs versions 1\n", generation, number of its first marker, key, check of these
//   record  block, version
//   marker  ~0, number, boot, epoch, check of the batch and of these, with the key of the file
//
// all big endian. The marker goes out when the sync that covers the batch begins, and the next marker only after that sync
// has ended well. So a batch with a marker behind it was synced, provided that both are from the same boot: after a crash
// of the process alone the system still has all that was written, and whoever opens the storage then has it synced. The
// last marker of another boot may have come to the disk before the data of its batch: what its blocks have is in doubt.
// Whoever opens a log puts a marker of his own to its end, which so settles for ever what was in doubt then.
//
// What follows the last good marker was never promised to anybody, and means nothing. A marker with a later number in
// there, however, says that something before it was damaged: then the log is worth nothing.
//
// Two files take turns: a header of the next generation in the older one drops what that one had. The log of a storage
// that was left in order begins with generation 1, so it is complete as long as that one is there.
#include "store/version_log.h"

#include "core/check.h"

#include <stdlib.h>
#include <string.h>

enum { CHECK_SIZE = 16, NUMBERS_AHEAD = 1 << 20 };

#define MARKER_BLOCK UINT64_MAX
#define GENERATION_COMPLETE 1

static const uint8_t magic[16] = "hvfs versions 1\n";

static void
put64(uint8_t *bytes, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t
get64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

// ---- Writing ----

static void
batch_begin(struct version_log *log)
{
	crypto_generichash_init(&log->batch, log->key, sizeof(log->key), CHECK_SIZE);
}

static void
put_header(struct version_log *log, uint8_t ret[VERSION_LOG_HEADER_SIZE])
{
	randombytes_buf(log->key, sizeof(log->key));
	memcpy(ret, magic, sizeof(magic));
	put64(ret + 16, log->generation);
	put64(ret + 24, log->number);
	memcpy(ret + 32, log->key, sizeof(log->key));
	crypto_generichash(ret + 48, CHECK_SIZE, ret, 48, NULL, 0);
	batch_begin(log);
}

void
version_log_begin(struct version_log *log, uint64_t boot, uint32_t epoch, bool follows,
		  uint8_t ret[VERSION_LOG_HEADER_SIZE])
{
	*log = (struct version_log){
		.boot = boot, .epoch = epoch, .number = 1, .generation = GENERATION_COMPLETE + follows};
	put_header(log, ret);
}

void
version_log_turn(struct version_log *log, uint8_t ret[VERSION_LOG_HEADER_SIZE])
{
	log->generation++;
	put_header(log, ret);
}

void
version_log_add(struct version_log *log, uint64_t block, version_t version, uint8_t ret[VERSION_LOG_RECORD_SIZE])
{
	CHECK(block >> BLOCK_KEY_BITS == 0);
	put64(ret, block);
	put64(ret + 8, version);
	crypto_generichash_update(&log->batch, ret, VERSION_LOG_RECORD_SIZE);
}

// The rest of a marker whose beginning is in ${marker}.
static void
marker_check(crypto_generichash_state *batch, const uint8_t *marker, uint8_t ret[CHECK_SIZE])
{
	crypto_generichash_update(batch, marker, VERSION_LOG_MARKER_SIZE - CHECK_SIZE);
	crypto_generichash_final(batch, ret, CHECK_SIZE);
}

void
version_log_mark(struct version_log *log, uint8_t ret[VERSION_LOG_MARKER_SIZE])
{
	put64(ret, MARKER_BLOCK);
	put64(ret + 8, log->number++);
	put64(ret + 16, log->boot);
	put64(ret + 24, log->epoch);
	marker_check(&log->batch, ret, ret + 32);
	batch_begin(log);
}

// ---- Reading ----

struct seen {
	uint64_t block;
	version_t version;
	size_t batch;
	size_t order; // of the record
};

// One file, as far as it is good.
struct file {
	int index;
	struct version_log_bytes in;
	uint64_t generation, next; // number of the marker that would come next
	const uint8_t *key;
	struct seen *seen;
	size_t count, room;
	uint64_t *boots; // of the markers, by batch
	size_t batches, batch_room;
	uint64_t first; // marker's number
	uint32_t epoch; // of the last marker
	uint32_t first_epoch;
	size_t end;     // behind it
};

static bool
get_header(struct file *file)
{
	const struct version_log_bytes *in = &file->in;
	uint8_t check[CHECK_SIZE];

	if (in->size < VERSION_LOG_HEADER_SIZE || memcmp(in->bytes, magic, sizeof(magic)) != 0)
		return false;
	crypto_generichash(check, sizeof(check), in->bytes, 48, NULL, 0);
	if (memcmp(check, in->bytes + 48, sizeof(check)) != 0)
		return false;
	file->generation = get64(in->bytes + 16);
	file->first = file->next = get64(in->bytes + 24);
	file->key = in->bytes + 32;
	return true;
}

static void
see(struct file *file, uint64_t block, version_t version)
{
	if (file->count == file->room) {
		file->room = file->room ? file->room * 2 : 1024;
		file->seen = realloc(file->seen, file->room * sizeof(*file->seen));
		CHECK(file->seen != NULL);
	}
	file->seen[file->count++] = (struct seen){block, version, file->batches, 0};
}

static void
batch_end(struct file *file, uint64_t boot)
{
	if (file->batches == file->batch_room) {
		file->batch_room = file->batch_room ? file->batch_room * 2 : 64;
		file->boots = realloc(file->boots, file->batch_room * sizeof(*file->boots));
		CHECK(file->boots != NULL);
	}
	file->boots[file->batches++] = boot;
}

// The marker at ${bytes} ends the batch in ${state}, and is the one with ${number}.
static bool
is_marker(crypto_generichash_state *state, const uint8_t *bytes, size_t size, uint64_t number)
{
	uint8_t check[CHECK_SIZE];

	if (size < VERSION_LOG_MARKER_SIZE || get64(bytes + 8) != number)
		return false;
	marker_check(state, bytes, check);
	return memcmp(check, bytes + 32, sizeof(check)) == 0;
}

// Take all good batches.
static void
read_batches(struct file *file)
{
	const struct version_log_bytes *in = &file->in;
	crypto_generichash_state state;
	size_t good_count = 0;

	crypto_generichash_init(&state, file->key, VERSION_LOG_KEY_SIZE, CHECK_SIZE);
	for (size_t at = VERSION_LOG_HEADER_SIZE; at + VERSION_LOG_RECORD_SIZE <= in->size;) {
		const uint8_t *bytes = in->bytes + at;

		if (get64(bytes) != MARKER_BLOCK) {
			crypto_generichash_update(&state, bytes, VERSION_LOG_RECORD_SIZE);
			see(file, get64(bytes), get64(bytes + 8));
			at += VERSION_LOG_RECORD_SIZE;
			continue;
		}
		if (!is_marker(&state, bytes, in->size - at, file->next))
			break;
		batch_end(file, get64(bytes + 16));
		file->epoch = (uint32_t)get64(bytes + 24);
		if (file->batches == 1)
			file->first_epoch = file->epoch;
		file->next++;
		file->end = at += VERSION_LOG_MARKER_SIZE;
		good_count = file->count;
		crypto_generichash_init(&state, file->key, VERSION_LOG_KEY_SIZE, CHECK_SIZE);
	}
	file->count = good_count;
}

// Is there a marker behind the last good one that can only have come after one which is not there?
static bool
is_damaged(const struct file *file)
{
	for (size_t at = file->end; at + VERSION_LOG_RECORD_SIZE <= file->in.size; at += VERSION_LOG_RECORD_SIZE) {
		uint64_t number = get64(file->in.bytes + at + 8);

		if (get64(file->in.bytes + at) == MARKER_BLOCK && number > file->next &&
		    number < file->next + NUMBERS_AHEAD)
			return true;
	}
	return false;
}

static void
file_free(struct file *file)
{
	free(file->seen);
	free(file->boots);
	file->seen = NULL;
	file->boots = NULL;
	file->count = file->batches = 0;
}

// Does ${older} end where ${newer} begins?
static bool
is_before(const struct file *older, const struct file *newer)
{
	return older->end > 0 && older->generation + 1 == newer->generation && older->next == newer->first;
}

// Put what is in ${newer} behind what is in ${file}.
static void
append(struct file *file, const struct file *newer)
{
	size_t batches = file->batches;

	for (size_t i = 0; i < newer->count; i++) {
		see(file, newer->seen[i].block, newer->seen[i].version);
		file->seen[file->count - 1].batch = batches + newer->seen[i].batch;
	}
	for (size_t i = 0; i < newer->batches; i++)
		batch_end(file, newer->boots[i]);
}

static int
by_block(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

// The bounds of each block: what was written last counts, unless it is in doubt.
static void
settle(struct file *all, uint64_t boot, struct stored_versions *ret)
{
	struct stored_version *stored = NULL;

	if (all->count == 0)
		return;
	for (size_t i = 0; i < all->count; i++)
		all->seen[i].order = i;
	qsort(all->seen, all->count, sizeof(*all->seen), by_block);
	ret->list = malloc(all->count * sizeof(*ret->list));
	CHECK(ret->list != NULL);
	for (size_t i = 0; i < all->count; i++) {
		const struct seen *seen = &all->seen[i];
		uint64_t after = seen->batch + 1 < all->batches ? all->boots[seen->batch + 1] : boot;

		if (stored == NULL || stored->block != seen->block) {
			stored = &ret->list[ret->count++];
			*stored = (struct stored_version){seen->block, 0, ret->complete ? 0 : VERSION_MAX};
		}
		if (all->boots[seen->batch] == after) {
			stored->low = stored->high = seen->version;
			continue;
		}
		stored->low = seen->version < stored->low ? seen->version : stored->low;
		stored->high = seen->version > stored->high ? seen->version : stored->high;
	}
}

// What can be wrong with the newest file; NULL: nothing.
static const char *
complaint(const struct file *newest, uint32_t epoch)
{
	if (newest->end == 0)
		return "there is none";
	if (is_damaged(newest))
		return "it is damaged";
	if (newest->epoch < epoch)
		return "it does not know of the last root";
	return NULL;
}

bool
version_log_read(const struct version_log_bytes in[VERSION_LOG_FILES], uint64_t boot, uint32_t epoch,
		 struct stored_versions *ret, struct version_log *log, struct version_log_end *end)
{
	struct file files[VERSION_LOG_FILES], *older = &files[0], *newest = &files[1];
	bool can_go_on;

	for (int i = 0; i < VERSION_LOG_FILES; i++) {
		files[i] = (struct file){.index = i, .in = in[i]};
		if (get_header(&files[i]))
			read_batches(&files[i]);
	}
	if (older->end > 0 && (newest->end == 0 || older->generation > newest->generation)) {
		older = &files[1];
		newest = &files[0];
	}
	*ret = (struct stored_versions){.why = complaint(newest, epoch)};
	can_go_on = ret->why == NULL;
	if (can_go_on) {
		bool both = is_before(older, newest);

		ret->complete = (both ? older : newest)->generation == GENERATION_COMPLETE;
		ret->epoch = ret->complete ? (both ? older : newest)->first_epoch : 0;
		ret->why = ret->complete ? NULL : "its beginning was dropped";
		*log = (struct version_log){
			.boot = boot, .generation = newest->generation, .number = newest->next, .epoch = newest->epoch};
		memcpy(log->key, newest->key, sizeof(log->key));
		batch_begin(log);
		*end = (struct version_log_end){newest->index, newest->end};
		if (both)
			append(older, newest);
		settle(both ? older : newest, boot, ret);
	}
	file_free(&files[0]);
	file_free(&files[1]);
	return can_go_on;
}

void
version_log_free(struct stored_versions *versions)
{
	free(versions->list);
	versions->list = NULL;
	versions->count = 0;
}
