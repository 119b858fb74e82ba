// SPDX-License-Identifier: MIT
#include "node/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_SIZE = 2048, NAME_SIZE = 256 };

static enum log_level level_max = LOG_LEVEL_INFO;
static char log_name[NAME_SIZE] = "hvfs";

void
log_set_level(enum log_level level)
{
	level_max = level;
}

enum log_level
log_get_level(void)
{
	return level_max;
}

void
log_set_name(const char *name)
{
	snprintf(log_name, sizeof(log_name), "%s", name);
}

static size_t
log_prefix(char *line, size_t size, const char *level)
{
	struct timespec now;
	struct tm parts;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &parts);
	used = strftime(line, size, "%Y-%m-%d %H:%M:%S", &parts);
	return used +
	       (size_t)snprintf(line + used, size - used, ".%03ld %s %s: ", now.tv_nsec / 1000000, log_name, level);
}

// One write for one line, so that lines of several processes do not mix. Bytes above 127 stay: names are UTF-8.
static void __attribute__((format(printf, 2, 0)))
log_line(const char *level, const char *format, va_list arguments, const char *reason)
{
	char line[LINE_SIZE];
	size_t room = sizeof(line) - 1; // for the newline
	size_t used = log_prefix(line, room, level);
	int length = vsnprintf(line + used, room - used, format, arguments);

	if (length > 0)
		used += (size_t)length < room - used ? (size_t)length : room - used - 1;
	if (reason != NULL) {
		length = snprintf(line + used, room - used, ": %s", reason);
		used += (size_t)length < room - used ? (size_t)length : room - used - 1;
	}
	for (size_t i = 0; i < used; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, used) < 0)
		return; // nowhere to say it
}

#define LOG(name, level, text, reason)                  \
	void name(const char *format, ...)              \
	{                                               \
		const char *why = (reason);             \
		va_list arguments;                      \
                                                        \
		if (level > level_max)                  \
			return;                         \
		va_start(arguments, format);            \
		log_line(text, format, arguments, why); \
		va_end(arguments);                      \
	}

LOG(log_error, LOG_LEVEL_ERROR, "error", NULL)
LOG(log_warn, LOG_LEVEL_WARN, "warning", strerror(errno))
LOG(log_warnx, LOG_LEVEL_WARN, "warning", NULL)
LOG(log_info, LOG_LEVEL_INFO, "info", NULL)
LOG(log_debug, LOG_LEVEL_DEBUG, "debug", NULL)
