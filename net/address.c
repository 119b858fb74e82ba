// SPDX-License-Identifier: MIT
// Splits the text once, so that everybody behind it (listener, dialer, checks) works on parts that are known to fit.
// Names are not looked up here: that may take long, and whoever dials knows when it may wait.
#include "net/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FORMS "use HOST:PORT, [IPv6]:PORT or unix:PATH"
#define PIN_FORM "use sha256:HEX@HOST:PORT"

static int __attribute__((format(printf, 3, 4))) address_fail(char *error, size_t error_size, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, error_size, format, arguments);
	va_end(arguments);
	return -1;
}

static int
address_parse_unix(const char *text, struct address *ret, char *error, size_t error_size)
{
	const char *path = text + strlen("unix:");

	if (*path == '\0')
		return address_fail(error, error_size, "address '%s': the path is missing; use unix:PATH", text);
	if (strlen(path) >= sizeof(ret->path))
		return address_fail(error, error_size,
				    "address '%s': the path has %zu bytes, a unix socket may have %zu", text,
				    strlen(path), sizeof(ret->path) - 1);
	ret->is_unix = true;
	memcpy(ret->path, path, strlen(path) + 1);
	return 0;
}

// Finds host and port in "[host]:port" or "host:port". Returns false when neither fits.
static bool
address_split(const char *text, const char **host, size_t *host_size, const char **port)
{
	const char *end;

	if (*text == '[') {
		end = strchr(text, ']');
		if (end == NULL || end[1] != ':')
			return false;
		*host = text + 1;
		*port = end + 2;
	} else {
		end = strrchr(text, ':');
		if (end == NULL)
			return false;
		*host = text;
		*port = end + 1;
	}
	*host_size = (size_t)(end - *host);
	return true;
}

static bool
port_is_valid(const char *port)
{
	size_t digits = strspn(port, "0123456789");

	return digits > 0 && digits <= 5 && port[digits] == '\0' && atoi(port) >= 1 && atoi(port) <= 65535;
}

static int
address_parse_tcp(const char *text, struct address *ret, char *error, size_t error_size)
{
	const char *host, *port;
	size_t host_size;
	struct in6_addr number;

	if (!address_split(text, &host, &host_size, &port))
		return address_fail(error, error_size, "address '%s': the port is missing; " FORMS, text);
	if (host_size == 0)
		return address_fail(error, error_size, "address '%s': the host is missing; " FORMS, text);
	if (host_size >= sizeof(ret->host))
		return address_fail(error, error_size, "address '%s': the host has %zu bytes, at most %zu are allowed",
				    text, host_size, sizeof(ret->host) - 1);
	memcpy(ret->host, host, host_size);
	ret->host[host_size] = '\0';
	if (*text == '[' && inet_pton(AF_INET6, ret->host, &number) != 1)
		return address_fail(error, error_size, "address '%s': '%s' is no IPv6 address", text, ret->host);
	if (*text != '[' && strchr(ret->host, ':') != NULL)
		return address_fail(error, error_size, "address '%s': write an IPv6 address in brackets, [IPv6]:PORT",
				    text);
	if (!port_is_valid(port))
		return address_fail(error, error_size, "address '%s': port '%s' is no number from 1 to 65535", text,
				    port);
	memcpy(ret->port, port, strlen(port) + 1);
	return 0;
}

// Take a key's fingerprint off the front. Returns what follows, or NULL and a sentence.
static const char *
parse_pin(const char *text, struct address *ret, char *error, size_t error_size)
{
	char pin[FINGERPRINT_TEXT_SIZE], why[160];
	const char *at = strchr(text, '@');

	if (strncmp(text, FINGERPRINT_PREFIX, strlen(FINGERPRINT_PREFIX)) != 0)
		return text;
	if (at == NULL) {
		address_fail(error, error_size, "address '%s': behind the fingerprint '@' and the address are missing; " PIN_FORM, text);
		return NULL;
	}
	snprintf(pin, sizeof(pin), "%.*s", (int)(at - text), text);
	if ((size_t)(at - text) >= sizeof(pin) || fingerprint_parse(pin, &ret->pin, why, sizeof(why)) != 0) {
		address_fail(error, error_size, "address '%s': in front of '@' is no fingerprint: right would be sha256: and %d hex digits",
			     text, 2 * FINGERPRINT_SIZE);
		return NULL;
	}
	if (strncmp(at + 1, "unix:", 5) == 0) {
		address_fail(error, error_size, "address '%s': a unix socket has no key, its user is checked; use unix:PATH", text);
		return NULL;
	}
	ret->is_pinned = true;
	return at + 1;
}

int
address_parse(const char *text, struct address *ret, char *error, size_t error_size)
{
	struct address address = {0};
	const char *rest;
	int rc;

	if (strlen(text) >= sizeof(address.text))
		return address_fail(error, error_size, "address '%.40s…': %zu bytes, at most %zu are allowed", text,
				    strlen(text), sizeof(address.text) - 1);
	for (const char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			return address_fail(error, error_size, "address: control character 0x%02x in it; " FORMS,
					    (unsigned char)*c);
	memcpy(address.text, text, strlen(text) + 1);
	rest = parse_pin(text, &address, error, error_size);
	if (rest == NULL)
		return -1;
	if (strncmp(rest, "unix:", 5) == 0)
		rc = address_parse_unix(rest, &address, error, error_size);
	else
		rc = address_parse_tcp(rest, &address, error, error_size);
	if (rc == 0)
		*ret = address;
	return rc;
}

bool
address_is_local(const struct address *address)
{
	struct in_addr four;
	struct in6_addr six;

	if (address->is_unix || strcasecmp(address->host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, address->host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address->host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}
