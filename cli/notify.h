// SPDX-License-Identifier: MIT
// What a service manager is told (sd_notify(3), without its library).
#ifndef HVFS_CLI_NOTIFY_H
#define HVFS_CLI_NOTIFY_H

// Send ${state}, such as "READY=1", to the socket that $NOTIFY_SOCKET names. Without one nothing is done.
void notify(const char *state);

#endif
