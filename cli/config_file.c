// SPDX-License-Identifier: MIT
// inih as packaged does not tell its handler the line, goes on after an error, and cuts long lines silently. So it reads
// through a function of ours that counts lines, refuses long ones and ends the file at the first error.
#include "cli/config_file.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct reader {
	FILE *file;
	const char *path;
	int line;
	bool failed;
	int (*set)(void *arg, const char *key, const char *value, char *error, size_t error_size);
	void *arg;
	char *error;
	size_t error_size;
};

static void
fail(struct reader *reader, const char *text)
{
	if (!reader->failed)
		snprintf(reader->error, reader->error_size, "%s:%d: %s", reader->path, reader->line, text);
	reader->failed = true;
}

// inih's fgets.
static char *
read_line(char *text, int size, void *arg)
{
	struct reader *reader = arg;
	if (reader->failed || fgets(text, size, reader->file) == NULL)
		return NULL;
	reader->line++;
	size_t length = strlen(text);
	if (length + 1 == (size_t)size && text[length - 1] != '\n' && !feof(reader->file)) {
		char why[80];
		snprintf(why, sizeof why, "longer than %d bytes, or with a NUL in it", size - 2);
		fail(reader, why);
		return NULL;
	}
	return text;
}

static int
take(void *arg, const char *section, const char *name, const char *value)
{
	struct reader *reader = arg;
	char why[1024], text[2048];
	if (reader->failed)
		return 1;
	if (section[0] != '\0' && strcmp(section, "serve") != 0)
		snprintf(text, sizeof text, "[%s]: no such section; keys stand without one, or in [serve]", section);
	else if (reader->set(reader->arg, name, value, why, sizeof why) != 0)
		snprintf(text, sizeof text, "%s = %.400s: %s", name, value, why);
	else
		return 1;
	fail(reader, text);
	return 1;
}

int
config_file_read(const char *path, int (*set)(void *arg, const char *key, const char *value, char *error, size_t error_size), void *arg,
		 char *error, size_t error_size)
{
	struct reader reader = { .path = path, .set = set, .arg = arg, .error = error, .error_size = error_size };
	reader.file = fopen(path, "re");
	if (reader.file == NULL) {
		snprintf(error, error_size, "-c %s: %s", path, strerror(errno));
		return -1;
	}
	int line = ini_parse_stream(read_line, &reader, take, &reader);
	if (ferror(reader.file)) {
		snprintf(error, error_size, "-c %s: %s", path, strerror(errno));
		reader.failed = true;
	} else if (!reader.failed && line != 0) {
		reader.line = line > 0 ? line : reader.line;
		fail(&reader, "right would be KEY = VALUE");
	}
	fclose(reader.file);
	return reader.failed ? -1 : 0;
}
