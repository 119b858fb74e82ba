// SPDX-License-Identifier: MIT
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
progress_begin(struct progress *progress)
{
	*progress = (struct progress){ .on = isatty(STDERR_FILENO) };
}

void
progress_draw(struct progress *progress, double share, const char *text)
{
	static const char bar[] = "########################################";
	int width = (int)strlen(bar);
	if (!progress->on)
		return;
	int done = share < 0 ? 0 : share > 1 ? width : (int)(share * width);
	progress->drawn = true;
	fprintf(stderr, "\r[%.*s%*s] %s \033[K", done, bar, width - done, "", text);
	fflush(stderr);
}

void
progress_end(struct progress *progress)
{
	if (progress->drawn)
		fputc('\n', stderr);
	progress->drawn = false;
}
