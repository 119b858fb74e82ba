// SPDX-License-Identifier: MIT
// The Driver of Fig. 8: presents each volume as DIR/NAME.img on a FUSE mount (libfuse3, low level) and turns file
// operations into struct io. Runs on the event loop's thread; each kernel request is answered exactly once.
#ifndef HVFS_FUSE_DRIVER_H
#define HVFS_FUSE_DRIVER_H

#include "core/io.h"

struct driver;
struct event_base;

struct driver_options {
	const char *directory; // existing, empty or not
	const char *source;    // what the table of mounts names as its source; NULL: "hvfs"
	bool allow_other;
	bool allow_root;
	void (*unmount)(void *arg); // take the mount away, when this process may not any more; NULL: it may
	void *unmount_arg;
};

// Called on the loop's thread. Only within unmounted may the driver be destroyed.
struct driver_callbacks {
	// Hand ${io} to the core. Its answer may come during the call.
	void (*submit)(void *arg, struct io *io);
	// The client is being killed: EVENT_IO_CANCEL. ${io} was submitted and is not done.
	void (*cancel)(void *arg, struct io *io);
	// Requests read from the kernel in one go have been submitted: flush links, kick stores.
	void (*batch_end)(void *arg);
	// SEEK_DATA / SEEK_HOLE: the next offset >= ${offset} of data (or hole); the size when there is none.
	uint64_t (*seek)(void *arg, uint32_t volume, uint64_t offset, bool data);
	// Does each write of ${volume} end with a synchronisation, as if its opener had O_DSYNC? May be NULL: none does.
	bool (*syncs_writes)(void *arg, uint32_t volume);
	// The mount went away without driver_unmount (umount, fusermount3 -u).
	void (*unmounted)(void *arg);
	// During driver_create: on ${directory} was the dead mount of a killed node, and has been taken away. May be
	// NULL.
	void (*detached)(void *arg, const char *directory);
};

// Mount, also over what a killed node left there. Returns NULL and a sentence that names the directory and what is
// wrong: missing, a mount point in use, fusermount3 missing, no access to /dev/fuse, allow_other not permitted by
// /etc/fuse.conf.
struct driver *driver_create(struct event_base *base, const struct driver_options *options,
			     const struct driver_callbacks *callbacks, void *arg, char *error, size_t error_size);

// The number of the mount of ours that is seen on ${path}, an absolute path, in the kernel's table; 0: there is none.
uint64_t driver_find_mount(const char *path);

// A file appears. ${volume} is the core's index (below LIMIT_VOLUMES), ${name} has no '/'. Mode 0600 (0400 read-only),
// owner the user that runs this; with allow_other 0660 less the umask. chmod and chown are remembered until the
// unmount.
void driver_add_volume(struct driver *driver, uint32_t volume, const char *name, uint64_t size, uint32_t block_size,
		       bool read_only);

// The actions of the core (core/action.h).
void driver_io_read(struct driver *driver, struct io *io, uint32_t index, struct buf *buf);
void driver_io_fill(struct driver *driver, struct io *io, uint32_t index, struct buf *old, struct buf *buf);
void driver_io_done(struct driver *driver, struct io *io, enum hvfs_error error);

// Every request of ${volume} fails with EIO, those that wait now and all to come, whatever the core does: its actions for
// the former are still taken, and change nothing. Not from within submit. Returns how many waited.
size_t driver_abort(struct driver *driver, uint32_t volume);

// The absolute path of the mount.
const char *driver_directory(const struct driver *driver);

// Requests that wait for their answer.
size_t driver_pending(const struct driver *driver);

// Unmount (lazily when busy) and free. Requests that wait are answered EIO, their struct io is gone: the core must not
// be stepped with them any more.
void driver_destroy(struct driver *driver);

#endif
