// SPDX-License-Identifier: MIT
// How an operation ended. One list; errno lives only at the edges (fuse, store, net) and is mapped there.
#ifndef HVFS_CORE_ERROR_H
#define HVFS_CORE_ERROR_H

#define HVFS_ERRORS(X)                                                     \
	X(OK, "success")                                                   \
	X(IO, "input/output error")                                        \
	X(NO_SPACE, "no space left on the storage")                        \
	X(READ_ONLY, "the volume is read-only here")                       \
	X(OUT_OF_RANGE, "beyond the end of the volume")                    \
	X(TIMED_OUT, "no answer from the parent in time")                  \
	X(CANCELLED, "interrupted")                                        \
	X(NO_VOLUME, "no such volume")                                     \
	X(LOST, "writes were lost before they were durable")               \
	X(SHUT_DOWN, "the node is stopping")                               \
	X(TOO_MANY, "a limit is reached")                                  \
	X(LOOP, "the parents form a loop")                                 \
	X(REFUSED, "refused by the peer")                                  \
	X(PROTOCOL, "the peer broke the protocol")                         \
	X(CUT_OFF, "cut off from the parent for too long")                 \
	X(ABORTED, "aborted by the administrator")                         \
	X(DENIED, "this node has no right to the volume any more")

enum hvfs_error {
#define X(name, text) ERR_##name,
	HVFS_ERRORS(X)
#undef X
		ERR_COUNT
};

// The sentence for ${error}, never NULL.
const char *hvfs_error_text(enum hvfs_error error);

#endif
