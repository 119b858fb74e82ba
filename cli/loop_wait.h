// SPDX-License-Identifier: MIT
// Waiting for the kernel to let go of a loop device: its last user, often udev for a moment, decides when.
#ifndef HVFS_CLI_LOOP_WAIT_H
#define HVFS_CLI_LOOP_WAIT_H

struct loop_wait {
	int fd; // of kernel events, or -1
};

// Start listening before the release, then wait for events until the device is seen to be free.
void loop_wait_start(struct loop_wait *wait);
void loop_wait_event(struct loop_wait *wait);
void loop_wait_end(struct loop_wait *wait);

#endif
