// SPDX-License-Identifier: MIT
#include "cli/passphrase.h"

#include "crypto/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { ROOM = PASSPHRASE_SIZE_MAX + 2 }; // a line feed, and a byte more to see that it is too long

static char *
alloc(void)
{
	return sodium_init() < 0 ? NULL : sodium_malloc(ROOM);
}

int
passphrase_read(const char *path, struct passphrase *ret, char *error, size_t error_size)
{
	static const struct secret_kind kind = {.noun = "passphrase"};
	char *bytes = alloc();
	ssize_t size = -1;

	if (bytes == NULL)
		snprintf(error, error_size, "%s: no memory for secrets", path);
	else
		size = secret_file_read(path, &kind, bytes, ROOM, error, error_size);
	if (size >= 0) {
		char *end = memchr(bytes, '\n', (size_t)size);

		if (end != NULL)
			size = end - bytes;
		if (size > 0 && size <= PASSPHRASE_SIZE_MAX) {
			*ret = (struct passphrase){bytes, (size_t)size};
			return 0;
		}
		snprintf(error, error_size, "%s: %s; right would be 1 to %d bytes in its first line", path,
			 size == 0 ? "its first line is empty" : "its first line is too long", PASSPHRASE_SIZE_MAX);
	}
	sodium_free(bytes);
	return -1;
}

// ---- Asking ----

static volatile sig_atomic_t interrupted;

static void
interrupt(int number)
{
	interrupted = number;
}

// While nothing is echoed the process must not end or stop: the terminal would stay like that. The signals are let in
// only while it waits: one that came right before would be noticed by nobody.
struct quiet {
	struct termios termios;
	sigset_t mask;
	struct sigaction actions[4];
};

static const int signals[4] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP};

static void
quiet_end(int fd, const struct quiet *quiet)
{
	tcsetattr(fd, TCSAFLUSH, &quiet->termios);
	for (int i = 0; i < 4; i++)
		sigaction(signals[i], &quiet->actions[i], NULL);
	sigprocmask(SIG_SETMASK, &quiet->mask, NULL);
}

static int
quiet_begin(int fd, struct quiet *quiet)
{
	struct sigaction action = {.sa_handler = interrupt}; // no SA_RESTART: read() ends
	struct termios silent;
	sigset_t mask;

	if (tcgetattr(fd, &quiet->termios) != 0)
		return -1;
	interrupted = 0;
	sigemptyset(&mask);
	for (int i = 0; i < 4; i++)
		sigaddset(&mask, signals[i]);
	sigprocmask(SIG_BLOCK, &mask, &quiet->mask);
	for (int i = 0; i < 4; i++)
		sigaction(signals[i], &action, &quiet->actions[i]);
	silent = quiet->termios;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	silent.c_lflag |= ICANON;
	if (tcsetattr(fd, TCSAFLUSH, &silent) == 0)
		return 0;
	quiet_end(fd, quiet);
	return -1;
}

// A line of ${room} bytes at most, without its end. Returns how many, or -1: there is no line.
static ssize_t
read_line(int fd, char *line, size_t room, const sigset_t *mask)
{
	struct pollfd poll = {.fd = fd, .events = POLLIN};
	ssize_t size;
	int rc;

	do
		rc = ppoll(&poll, 1, NULL, mask);
	while (rc < 0 && errno == EINTR && interrupted == 0);
	if (rc < 0 || interrupted != 0)
		return -1;
	size = read(fd, line, room); // a line is there, or the end
	if (size <= 0)
		return -1;
	return line[size - 1] == '\n' ? size - 1 : size;
}

static ssize_t
ask_once(int fd, const char *prompt, const char *file, char *line)
{
	struct quiet quiet;
	ssize_t size;

	// The prompt comes last: what was typed before is thrown away, what is typed at the sight of it is not.
	if (quiet_begin(fd, &quiet) != 0)
		return -1;
	dprintf(fd, "%s%s: ", prompt, file);
	size = read_line(fd, line, ROOM, &quiet.mask);
	quiet_end(fd, &quiet);
	dprintf(fd, "\n");
	return size;
}

// The same line again?
static bool
confirm(int fd, const char *file, const char *line, ssize_t size)
{
	char *again = alloc();
	bool same = again != NULL && ask_once(fd, "The same again for ", file, again) == size &&
		    memcmp(line, again, (size_t)size) == 0;

	sodium_free(again);
	return same;
}

int
passphrase_ask(const char *file, bool twice, struct passphrase *ret, char *error, size_t error_size)
{
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	char *line = fd >= 0 ? alloc() : NULL;
	ssize_t size;

	if (fd < 0) {
		snprintf(error, error_size,
			 "needs a passphrase, and there is no terminal to ask for it: --passphrase-file FILE gives it");
		return -1;
	}
	if (line == NULL) {
		close(fd);
		snprintf(error, error_size, "no memory for secrets");
		return -1;
	}
	size = ask_once(fd, twice ? "New passphrase for " : "Passphrase of ", file, line);
	if (size > 0 && size <= PASSPHRASE_SIZE_MAX && (!twice || confirm(fd, file, line, size))) {
		close(fd);
		*ret = (struct passphrase){line, (size_t)size};
		return 0;
	}
	if (size <= 0)
		snprintf(error, error_size, "no passphrase was given");
	else if (size > PASSPHRASE_SIZE_MAX)
		snprintf(error, error_size, "the passphrase is too long; at most %d bytes", PASSPHRASE_SIZE_MAX);
	else
		snprintf(error, error_size, "the two passphrases differ");
	close(fd);
	sodium_free(line);
	return -1;
}

void
passphrase_wipe(struct passphrase *passphrase)
{
	sodium_free((void *)passphrase->bytes); // wipes
	*passphrase = (struct passphrase){NULL, 0};
}
