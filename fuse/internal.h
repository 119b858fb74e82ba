// SPDX-License-Identifier: MIT
// What the files of fuse/ share. Nothing outside includes it.
//
//	driver.c   the session: mount, receive loop, back-pressure, end
//	request.c  one struct io and the kernel request it answers
//	interrupt.c  clients that got a signal while they wait
//	files.c    operations on names and attributes, answered at once
//	ops.c      operations on data, which become struct io
//	placement.c  which CPU answers
//	mount.c    what can be wrong with a mount point, said before libfuse says it
//	mount_dead.c  the mount of a killed node, taken away
#ifndef HVFS_FUSE_INTERNAL_H
#define HVFS_FUSE_INTERNAL_H

#define FUSE_USE_VERSION 312

#include <fuse3/fuse_lowlevel.h>
#include <sys/queue.h>
#include <sys/uio.h>
#include <time.h>

#include "core/buf.h"
#include "core/check.h"
#include "core/limits.h"
#include "fuse/driver.h"
#include "fuse/placement.h"

#define FILE_SUFFIX ".img"

enum {
	FILE_NAME_SIZE = LIMIT_NAME_SIZE + sizeof(FILE_SUFFIX),
	FILE_INODE_FIRST = 2, // the volume's index is added; 1 is the directory (FUSE_ROOT_ID)

	DRIVER_BATCH = 64,               // requests read after one wake-up, so that links get their turn
	DRIVER_LOOKS = 24,               // for a next request, about 8 us, before sleeping between two of a busy client
	DRIVER_PROBE_PERIOD = 8,         // wake-ups with one request each, after which a second one is looked for
	DRIVER_PENDING_MAX = 4096,       // requests that wait for the core; beyond, the kernel keeps the rest
	DRIVER_PENDING_SIZE = 128 << 20, // bytes they may hold
	DRIVER_BACKGROUND = 128,         // asynchronous requests the kernel sends at once

	REQUEST_BUFS_INLINE = 4,                                     // blocks of a small read
	REQUEST_BUFS_MAX = LIMIT_IO_SIZE / LIMIT_BLOCK_SIZE_MIN + 1, // an unaligned 1 MiB touches one block more
	REQUEST_IOV_MAX = 1000, // below the kernel's UIO_MAXIOV with the reply's header
	REQUEST_COPY_MAX =
		64 << 10, // a waiting write of at most this size is copied, a larger one keeps its receive buffer
	REQUEST_ZERO_MAX = 1 << 30, // bytes zeroed at a time: the core's time limit is for a piece
	INTERRUPT_LOOK_MS = 500,    // until the clients of interrupted requests are looked at again
	REQUEST_SPARE_MAX = 256,    // free-list lengths
	TABLE_SPARE_MAX = 32,
	RECEIVE_SPARE_MAX = 4,
};

// What the kernel's request wants to hear.
enum reply {
	REPLY_DATA,  // read
	REPLY_COUNT, // write
	REPLY_ATTR,  // truncation
	REPLY_ERROR, // everything else: 0 or an errno
};

// A buffer that requests are read into.
struct receive {
	struct fuse_buf buf;
	void *memory; // what to free; NULL: buf.mem itself
	LIST_ENTRY(receive) link;
};

// A volume's file.
struct file {
	bool present;
	bool aborted; // nothing goes to the core any more
	bool read_only;
	uint64_t size;
	uint64_t written_end; // beyond it nothing was written here since a truncation to 0; at first the size
	uint32_t block_size;
	mode_t mode; // permission bits
	uid_t uid;
	gid_t gid;
	struct timespec atime, mtime, ctime;
	char name[FILE_NAME_SIZE];
};

// An open file.
struct opener {
	uint32_t stream;
	bool written;     // not synchronised since
	bool synchronous; // opened with O_DSYNC or O_SYNC
	LIST_ENTRY(opener) link;
};

struct request {
	struct io io; // what the core sees
	struct driver *driver;
	fuse_req_t req;
	struct file *file;
	struct opener *opener; // whoever writes or synchronises, else NULL
	enum reply reply;
	uint64_t count;    // write: bytes, to be answered
	uint64_t zero_end; // zeroing: goes on to here, piece by piece
	bool sync_after;   // a write that is only done when it is on the root's stable storage,
	bool sync_forced;  // whatever else the user said of that (driver_callbacks.syncs_writes)
	bool parked;       // submit returned without an answer
	bool interrupted;  // on the driver's list of these: its client is to be looked at
	bool cancelled;    // the client is being killed
	bool abandoned;    // answered already; only the core still has it
	uint32_t round;    // of interrupt_look that saw it last

	const uint8_t *payload; // write: the bytes; in the receive buffer during submit, then in copy or held
	struct receive *held;
	uint8_t *copy; // kept with the free struct, REQUEST_COPY_MAX at most
	size_t copy_size;

	struct buf **bufs; // read: counts of the blocks that have arrived
	uint32_t buf_count;
	struct buf *bufs_inline[REQUEST_BUFS_INLINE];

	TAILQ_ENTRY(request) link;
	TAILQ_ENTRY(request) interrupted_link;
};

struct buf_table {
	struct buf *bufs[REQUEST_BUFS_MAX];
	LIST_ENTRY(buf_table) link;
};

TAILQ_HEAD(request_list, request);

struct driver {
	struct event_base *base;
	struct event *event; // the session's fd is readable
	struct fuse_session *session;
	bool mounted;
	bool ended; // the session is over, nobody reads the fd any more
	struct driver_callbacks callbacks;
	void *arg;
	struct driver_options options; // without directory and source
	char *path;                    // of the mount
	uid_t uid;
	gid_t gid;
	mode_t umask;
	struct timespec created;

	struct file files[LIMIT_VOLUMES];
	LIST_HEAD(, opener) openers;
	uint32_t stream_next;

	// Receiving.
	struct receive *receive; // the one in use
	LIST_HEAD(, receive) receive_spare;
	uint32_t receive_spare_count;
	bool receive_aligned;  // buffers are ours and aligned
	size_t receive_size;   // bytes libfuse reads at most
	bool several;          // the last batch had more than one request
	uint32_t single_count; // batches of one since the last probe
	bool paused;           // too much waits: the fd is not watched
	struct placement placement;

	// Requests that are with the core.
	struct request *submitting;
	struct request_list pending;     // submitted, without an answer
	struct request_list abandoned;   // answered, and still with the core
	struct request_list interrupted; // by signals that need not be deadly
	struct event *interrupt_timer;   // looks at their clients again
	uint32_t interrupt_round;
	size_t pending_count;
	uint64_t pending_size;

	struct request_list spare;
	uint32_t spare_count;
	LIST_HEAD(, buf_table) tables;
	uint32_t table_count;
	uint8_t *gather; // LIMIT_IO_SIZE bytes, for replies of too many pieces
	struct iovec iov[REQUEST_IOV_MAX];
};

// driver.c
struct receive *driver_receive_take(struct driver *driver);
void driver_receive_return(struct driver *driver, struct receive *receive);
// After the number of waiting requests fell: watch the fd again.
void driver_resume(struct driver *driver);

// request.c
struct request *request_create(struct driver *driver, fuse_req_t req, struct file *file, enum io_kind kind,
			       enum reply reply);
void request_submit(struct request *request);
void request_fail_all(struct driver *driver, int error);
void request_free_spares(struct driver *driver);

// interrupt.c
void interrupt_init(struct driver *driver);
void interrupt_fini(struct driver *driver);
void interrupt_add(struct request *request);
// Cancel what was asked by threads that are being killed, among the interrupted.
void interrupt_look(struct driver *driver);

// files.c
void files_init(struct driver *driver);
struct file *files_get(struct driver *driver, fuse_ino_t ino);
uint32_t files_volume(const struct driver *driver, const struct file *file);
void files_reply_attr(struct driver *driver, const struct file *file, fuse_req_t req);
void files_set_ops(struct fuse_lowlevel_ops *ops);

// ops.c
void ops_set(struct fuse_lowlevel_ops *ops);
// Everything in ${file} becomes zeros, then ${req} is answered with its attributes. ${opener} may be NULL.
void ops_truncate(fuse_req_t req, struct file *file, struct opener *opener);
// What an opener that is gone left behind goes to the root.
void ops_release_sync(fuse_req_t req, struct file *file);

// mount.c
// The absolute path of ${directory} when a mount on it can be tried (to free), else NULL and a sentence.
// ${ret_detached}: a dead mount of ours was taken away from there.
char *mount_check(const struct driver_options *options, bool *ret_detached, char *error, size_t error_size);
// Libfuse's own complaints go into ${text} instead of stderr until NULL is given.
void mount_capture_log(char *text, size_t size);

// mount_dead.c
// Take the mount of ours on ${path}, to which ${fd} leads, away if its server is gone. False: it is not, or that
// failed.
bool mount_detach_dead(const char *path, int fd);

static inline struct driver *
driver_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

#endif
