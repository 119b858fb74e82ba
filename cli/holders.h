// SPDX-License-Identifier: MIT
// Who keeps a mount busy. Only /proc and /sys are looked at, never the mount, which may hang.
#ifndef HVFS_CLI_HOLDERS_H
#define HVFS_CLI_HOLDERS_H

#include <stdio.h>

// Print a line, after ${indent}, for each process that uses something at or below ${directory} (as far as this user may
// see), each loop device on an image there, and each mount below it. Returns how many.
unsigned holders_print(FILE *file, const char *indent, const char *directory);

#endif
