// SPDX-License-Identifier: MIT
// The kernel says by a uevent that a device changed. Containers may not hear them, so each wait also ends after a while,
// for another look.
#include "cli/loop_wait.h"

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOOK_AGAIN_MS = 100, UEVENT_KERNEL_GROUP = 1 };

void
loop_wait_start(struct loop_wait *wait)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = UEVENT_KERNEL_GROUP };
	wait->fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (wait->fd >= 0 && bind(wait->fd, (struct sockaddr *)&address, sizeof address) != 0)
		loop_wait_end(wait);
}

void
loop_wait_event(struct loop_wait *wait)
{
	char event[4096];
	struct pollfd poll_fd = { .fd = wait->fd, .events = POLLIN };
	poll(&poll_fd, 1, LOOK_AGAIN_MS);
	while (wait->fd >= 0 && recv(wait->fd, event, sizeof event, 0) > 0)
		;
}

void
loop_wait_end(struct loop_wait *wait)
{
	if (wait->fd >= 0)
		close(wait->fd);
	wait->fd = -1;
}
