// SPDX-License-Identifier: MIT
// The text is kept line by line, so that comments and the order stay when the node changes it. A few thousand lines at most, and
// looked at when somebody connects: they are gone through one by one.
#include "node/acl.h"

#include "core/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line {
	char *text; // as it was read; NULL: made from the entry
	bool is_entry;
	struct acl_entry entry;
};

struct acl {
	struct line *lines;
	size_t count, capacity, entries;
};

static const char *const right_names[] = {[RIGHT_NONE] = "none", [RIGHT_READ] = "read", [RIGHT_WRITE] = "read-write",
					  [RIGHT_PROXY] = "proxy"};

static int __attribute__((format(printf, 3, 4))) fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

// ---- Words ----

int
right_parse(const char *text, enum right *ret, char *error, size_t error_size)
{
	for (size_t i = 0; i < sizeof(right_names) / sizeof(*right_names); i++)
		if (strcmp(text, right_names[i]) == 0) {
			*ret = (enum right)i;
			return 0;
		}
	return fail(error, error_size, "'%.80s' is no right: right would be none, proxy, read or read-write", text);
}

const char *
right_name(enum right right)
{
	return right_names[right];
}

int
acl_check_volume(const char *volume, char *error, size_t error_size)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t size = strlen(volume);

	if (strcmp(volume, "*") == 0)
		return 0;
	if (size == 0 || size > LIMIT_NAME_SIZE || volume[0] == '.' || volume[0] == '-' || strspn(volume, allowed) != size)
		return fail(error, error_size,
			    "'%.80s' is no volume: right would be a name (letters, digits, '_', and not in front '.' and '-') or *", volume);
	return 0;
}

int
acl_check_label(const char *label, char *error, size_t error_size)
{
	size_t size = strlen(label);

	if (size > ACL_LABEL_SIZE)
		return fail(error, error_size, "the label '%.80s' has %zu bytes, at most %d are allowed", label, size, ACL_LABEL_SIZE);
	for (const char *c = label; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '#')
			return fail(error, error_size, "the label '%.80s' has a '#' or a control character in it", label);
	if (size > 0 && (label[0] == ' ' || label[size - 1] == ' '))
		return fail(error, error_size, "the label '%.80s' begins or ends with a space", label);
	return 0;
}

// ---- Lines ----

struct acl *
acl_create(void)
{
	struct acl *acl = calloc(1, sizeof(*acl));

	CHECK(acl != NULL);
	return acl;
}

void
acl_destroy(struct acl *acl)
{
	if (acl == NULL)
		return;
	for (size_t i = 0; i < acl->count; i++)
		free(acl->lines[i].text);
	free(acl->lines);
	free(acl);
}

static struct line *
add_line(struct acl *acl)
{
	if (acl->count == acl->capacity) {
		acl->capacity = acl->capacity > 0 ? 2 * acl->capacity : 16;
		acl->lines = realloc(acl->lines, acl->capacity * sizeof(*acl->lines));
		CHECK(acl->lines != NULL);
	}
	acl->lines[acl->count] = (struct line){.text = NULL};
	return &acl->lines[acl->count++];
}

static struct line *
find_line(const struct acl *acl, const struct peer *peer, const char *volume)
{
	for (size_t i = 0; i < acl->count; i++)
		if (acl->lines[i].is_entry && strcmp(acl->lines[i].entry.volume, volume) == 0 &&
		    peer_equal(&acl->lines[i].entry.peer, peer))
			return &acl->lines[i];
	return NULL;
}

// ---- Reading ----

// The next word of *at, which is cut out of the text; NULL: there is none.
static char *
next_word(char **at)
{
	char *word = *at + strspn(*at, " \t"), *end = word + strcspn(word, " \t");

	if (*word == '\0')
		return NULL;
	*at = *end != '\0' ? end + 1 : end;
	*end = '\0';
	return word;
}

static int
parse_entry(char *text, struct acl_entry *entry, char *error, size_t error_size)
{
	char *peer = next_word(&text), *volume = next_word(&text), *right = next_word(&text);

	if (right == NULL)
		return fail(error, error_size, "%s is missing: right would be PEER VOLUME RIGHT [label]", volume == NULL ? "VOLUME" : "RIGHT");
	if (peer_parse(peer, &entry->peer, error, error_size) != 0 || acl_check_volume(volume, error, error_size) != 0 ||
	    right_parse(right, &entry->right, error, error_size) != 0)
		return -1;
	text += strspn(text, " \t");
	if (acl_check_label(text, error, error_size) != 0)
		return -1;
	snprintf(entry->volume, sizeof(entry->volume), "%s", volume);
	snprintf(entry->label, sizeof(entry->label), "%s", text);
	return 0;
}

// What is left of a line without its comment.
static void
strip(char *text)
{
	size_t size;

	for (char *at = text; *at != '\0'; at++)
		if (*at == '#' && (at == text || at[-1] == ' ' || at[-1] == '\t')) {
			*at = '\0';
			break;
		}
	for (size = strlen(text); size > 0 && strchr(" \t\r", text[size - 1]) != NULL; size--)
		text[size - 1] = '\0';
}

static int
parse_line(struct acl *acl, const char *text, char *error, size_t error_size)
{
	struct acl_entry entry = {.label = ""};
	const struct line *same;
	struct line *line;
	char *copy = strdup(text);
	bool is_entry;
	int rc = 0;

	CHECK(copy != NULL);
	strip(copy);
	is_entry = copy[strspn(copy, " \t")] != '\0';
	if (is_entry)
		rc = parse_entry(copy, &entry, error, error_size);
	free(copy);
	if (rc != 0)
		return -1;
	same = is_entry ? find_line(acl, &entry.peer, entry.volume) : NULL;
	if (same != NULL)
		return fail(error, error_size, "this peer and volume are in line %zu already", (size_t)(same - acl->lines) + 1);
	if (is_entry && acl->entries == ACL_ENTRIES_MAX)
		return fail(error, error_size, "more than %d entries", ACL_ENTRIES_MAX);
	line = add_line(acl);
	line->text = strdup(text);
	CHECK(line->text != NULL);
	line->is_entry = is_entry;
	line->entry = entry;
	acl->entries += is_entry;
	return 0;
}

struct acl *
acl_parse(const char *text, size_t size, char *error, size_t error_size)
{
	struct acl *acl = acl_create();
	char *copy, *at, *line, why[512];

	if (size > ACL_SIZE_MAX || memchr(text, '\0', size) != NULL) {
		fail(error, error_size, size > ACL_SIZE_MAX ? "more than 1 MiB" : "there is a NUL byte in it: no text");
		acl_destroy(acl);
		return NULL;
	}
	copy = at = strndup(text, size);
	CHECK(copy != NULL);
	while (*at != '\0') {
		line = at;
		at += strcspn(at, "\n");
		if (*at == '\n')
			*at++ = '\0';
		if (parse_line(acl, line, why, sizeof(why)) == 0)
			continue;
		fail(error, error_size, "line %zu: %s", acl->count + 1, why);
		acl_destroy(acl);
		acl = NULL;
		break;
	}
	free(copy);
	return acl;
}

char *
acl_print(const struct acl *acl)
{
	size_t size = 0;
	char *text = NULL;
	FILE *file = open_memstream(&text, &size);

	CHECK(file != NULL);
	for (size_t i = 0; i < acl->count; i++) {
		const struct line *line = &acl->lines[i];
		char peer[PEER_TEXT_SIZE];

		if (line->text != NULL)
			fprintf(file, "%s\n", line->text);
		else
			fprintf(file, "%s %s %s%s%s\n", peer_print(&line->entry.peer, peer), line->entry.volume,
				right_name(line->entry.right), line->entry.label[0] != '\0' ? " " : "", line->entry.label);
	}
	CHECK(fclose(file) == 0 && text != NULL);
	return text;
}

// ---- Questions ----

static enum right
right_of_unlisted(const struct peer *peer)
{
	if (peer->kind == PEER_INSECURE)
		return RIGHT_WRITE;
	return peer->kind == PEER_UID && (peer->uid == 0 || peer->uid == geteuid()) ? RIGHT_WRITE : RIGHT_NONE;
}

enum right
acl_right(const struct acl *acl, const struct peer *peer, const char *volume)
{
	const struct line *line = find_line(acl, peer, volume);

	if (line == NULL)
		line = find_line(acl, peer, "*");
	return line != NULL ? line->entry.right : right_of_unlisted(peer);
}

bool
acl_knows(const struct acl *acl, const struct peer *peer)
{
	if (acl_right(acl, peer, "*") != RIGHT_NONE)
		return true;
	for (size_t i = 0; i < acl->count; i++)
		if (acl->lines[i].is_entry && acl->lines[i].entry.right != RIGHT_NONE && peer_equal(&acl->lines[i].entry.peer, peer))
			return true;
	return false;
}

const char *
acl_label(const struct acl *acl, const struct peer *peer)
{
	for (size_t i = 0; i < acl->count; i++)
		if (acl->lines[i].is_entry && acl->lines[i].entry.label[0] != '\0' && peer_equal(&acl->lines[i].entry.peer, peer))
			return acl->lines[i].entry.label;
	return "";
}

const struct acl_entry *
acl_get(const struct acl *acl, size_t index)
{
	for (size_t i = 0; i < acl->count; i++)
		if (acl->lines[i].is_entry && index-- == 0)
			return &acl->lines[i].entry;
	return NULL;
}

// ---- Changes ----

int
acl_set(struct acl *acl, const struct acl_entry *entry, char *error, size_t error_size)
{
	struct line *line = find_line(acl, &entry->peer, entry->volume);
	char label[ACL_LABEL_SIZE + 1] = "";

	if (line == NULL && acl->entries == ACL_ENTRIES_MAX)
		return fail(error, error_size, "there are %d entries, no more are possible", ACL_ENTRIES_MAX);
	if (line == NULL) {
		line = add_line(acl);
		acl->entries++;
	} else {
		memcpy(label, line->entry.label, sizeof(label));
	}
	free(line->text);
	*line = (struct line){.is_entry = true, .entry = *entry};
	if (entry->label[0] == '\0')
		memcpy(line->entry.label, label, sizeof(label));
	return 0;
}

bool
acl_remove(struct acl *acl, const struct peer *peer, const char *volume)
{
	struct line *line = find_line(acl, peer, volume);

	if (line == NULL)
		return false;
	free(line->text);
	memmove(line, line + 1, (size_t)(acl->lines + acl->count - line - 1) * sizeof(*line));
	acl->count--;
	acl->entries--;
	return true;
}
