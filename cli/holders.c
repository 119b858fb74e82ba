// SPDX-License-Identifier: MIT
#include "cli/holders.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct search {
	FILE *file;
	const char *indent, *directory;
	size_t size; // of the directory's name
	unsigned count;
};

static bool
is_inside(const struct search *search, const char *path)
{
	return strncmp(path, search->directory, search->size) == 0 && (path[search->size] == '\0' || path[search->size] == '/');
}

// The first line of ${path}.
static void
read_line(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	text[0] = '\0';
	if (file == NULL)
		return;
	if (fgets(text, (int)size, file) == NULL)
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(file);
}

static bool
link_is_inside(const struct search *search, const char *link, char target[PATH_MAX])
{
	ssize_t size = readlink(link, target, PATH_MAX - 1);
	if (size < 0)
		return false;
	target[size] = '\0';
	return is_inside(search, target);
}

static bool
descriptor_is_inside(const struct search *search, const char *pid, char target[PATH_MAX])
{
	char path[PATH_MAX];
	snprintf(path, sizeof path, "/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	bool found = false;
	if (dir == NULL)
		return false;
	for (struct dirent *entry; !found && (entry = readdir(dir)) != NULL;) {
		snprintf(path, sizeof path, "/proc/%s/fd/%s", pid, entry->d_name);
		found = link_is_inside(search, path, target);
	}
	closedir(dir);
	return found;
}

// A mapping outlives its descriptor. The path is the last word of a line, and begins with the first slash.
static bool
mapping_is_inside(const struct search *search, const char *pid, char target[PATH_MAX])
{
	char path[64], *line = NULL;
	size_t room = 0;
	bool found = false;
	snprintf(path, sizeof path, "/proc/%.20s/maps", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return false;
	while (!found && getline(&line, &room, file) >= 0) {
		const char *name = strchr(line, '/');
		line[strcspn(line, "\n")] = '\0';
		found = name != NULL && is_inside(search, name);
		if (found)
			snprintf(target, PATH_MAX, "%s", name);
	}
	free(line);
	fclose(file);
	return found;
}

static void
look_at_process(struct search *search, const char *pid)
{
	static const char *const links[] = { "cwd", "root", "exe" };
	char path[64], target[PATH_MAX], name[64];
	if (strtol(pid, NULL, 10) == getpid())
		return; // what we have was given to us
	bool found = descriptor_is_inside(search, pid, target) || mapping_is_inside(search, pid, target);
	for (size_t i = 0; i < sizeof links / sizeof *links && !found; i++) {
		snprintf(path, sizeof path, "/proc/%.20s/%s", pid, links[i]);
		found = link_is_inside(search, path, target);
	}
	if (!found)
		return;
	snprintf(path, sizeof path, "/proc/%.20s/comm", pid);
	read_line(path, name, sizeof name);
	fprintf(search->file, "%sprocess %s (%s) uses %s\n", search->indent, pid, name, target);
	search->count++;
}

static void
look_at_loop(struct search *search, const char *device)
{
	char path[PATH_MAX], target[PATH_MAX];
	snprintf(path, sizeof path, "/sys/block/%.200s/loop/backing_file", device);
	read_line(path, target, sizeof target);
	if (target[0] == '\0' || !is_inside(search, target))
		return;
	fprintf(search->file, "%s/dev/%s is attached to %s; hvfs detach ends that\n", search->indent, device, target);
	search->count++;
}

// Call ${look} with each name in ${directory} for which ${fits}.
static void
for_names(struct search *search, const char *directory, bool (*fits)(const char *name),
	  void (*look)(struct search *search, const char *name))
{
	DIR *dir = opendir(directory);
	if (dir == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
		if (fits(entry->d_name))
			look(search, entry->d_name);
	closedir(dir);
}

static bool
is_pid(const char *name)
{
	return isdigit((unsigned char)name[0]) != 0;
}

static bool
is_loop(const char *name)
{
	return strncmp(name, "loop", 4) == 0;
}

// id parent major:minor root MOUNTPOINT ...
static void
look_at_mounts(struct search *search)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, point[PATH_MAX];
	size_t room = 0;
	if (file == NULL)
		return;
	while (getline(&line, &room, file) >= 0) {
		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 || !is_inside(search, point) || point[search->size] == '\0')
			continue;
		fprintf(search->file, "%s%s is mounted below it\n", search->indent, point);
		search->count++;
	}
	free(line);
	fclose(file);
}

unsigned
holders_print(FILE *file, const char *indent, const char *directory)
{
	struct search search = { .file = file, .indent = indent, .directory = directory, .size = strlen(directory) };
	for_names(&search, "/proc", is_pid, look_at_process);
	for_names(&search, "/sys/block", is_loop, look_at_loop);
	look_at_mounts(&search);
	return search.count;
}
