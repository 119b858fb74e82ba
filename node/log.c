// SPDX-License-Identifier: MIT
#include "node/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_SIZE = 2048,
	NAME_SIZE = 256,
	PLACES = 64,       // formats whose lines are counted; of a flood there are few
	PLACE_LINES = 500, // that one gets in
	PLACE_S = 10,
};

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

// ---- Floods ----

// Whoever can make a node say something can make it say that all the time. Each format has so many lines in so much time,
// and when there are more, then a line that says how many.
static struct place {
	const char *format; // NULL: a free one
	time_t since;
	uint32_t lines, hidden;
} places[PLACES];
static pthread_mutex_t places_lock = PTHREAD_MUTEX_INITIALIZER;

// That of ${format}: its own, or the one that has not been used for the longest time.
static struct place *
find_place(const char *format)
{
	struct place *found = &places[0];

	for (size_t i = 0; i < PLACES; i++) {
		if (places[i].format == format)
			return &places[i];
		if (places[i].since < found->since)
			found = &places[i];
	}
	*found = (struct place){.format = format};
	return found;
}

// May it be said? ${ret_hidden}: how many of these were not, since some were.
static bool
has_lines_left(const char *format, uint32_t *ret_hidden)
{
	struct timespec now;
	struct place *place;
	bool ret;

	clock_gettime(CLOCK_BOOTTIME, &now);
	pthread_mutex_lock(&places_lock);
	place = find_place(format);
	*ret_hidden = 0;
	if (place->lines == 0 || now.tv_sec - place->since >= PLACE_S) {
		*ret_hidden = place->hidden;
		*place = (struct place){.format = format, .since = now.tv_sec};
	}
	ret = place->lines < PLACE_LINES;
	place->lines += ret;
	place->hidden += !ret;
	pthread_mutex_unlock(&places_lock);
	return ret;
}

// ---- Lines ----

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
write_line(const char *level, const char *format, va_list arguments, const char *reason)
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

static void __attribute__((format(printf, 2, 3)))
write_text(const char *level, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_line(level, format, arguments, NULL);
	va_end(arguments);
}

static void __attribute__((format(printf, 2, 0)))
log_line(const char *level, const char *format, va_list arguments, const char *reason)
{
	uint32_t hidden;

	if (level_max < LOG_LEVEL_DEBUG && !has_lines_left(format, &hidden))
		return;
	if (level_max < LOG_LEVEL_DEBUG && hidden > 0)
		write_text(level, "%" PRIu32 " lines like the next one were left out", hidden);
	write_line(level, format, arguments, reason);
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
