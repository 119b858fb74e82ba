// SPDX-License-Identifier: MIT
// A progress bar: one line on standard error, if that is a terminal, drawn again and again.
#ifndef HVFS_CLI_PROGRESS_H
#define HVFS_CLI_PROGRESS_H

#include <stdbool.h>

struct progress {
	bool on;    // it is a terminal
	bool drawn; // and something stands there
};

// Nothing is drawn before progress_draw.
void progress_begin(struct progress *progress);

// ${share} (0 to 1) is done; ${text} stands behind the bar.
void progress_draw(struct progress *progress, double share, const char *text);

// The line is left as it is.
void progress_end(struct progress *progress);

#endif
