// SPDX-License-Identifier: MIT
#include "net/host.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { IPV4_SIZE = 4, NET_SIZE = 8 };

struct host
host_of(int fd)
{
	struct sockaddr_storage from = {0};
	socklen_t size = sizeof(from);
	struct host ret = {{0}};

	if (getpeername(fd, (struct sockaddr *)&from, &size) != 0)
		return ret;
	if (from.ss_family == AF_INET)
		memcpy(ret.bytes + sizeof(ret.bytes) - IPV4_SIZE, &((struct sockaddr_in *)&from)->sin_addr, IPV4_SIZE);
	else if (from.ss_family == AF_INET6)
		memcpy(ret.bytes, &((struct sockaddr_in6 *)&from)->sin6_addr, NET_SIZE);
	return ret;
}

bool
host_equal(const struct host *left, const struct host *right)
{
	return memcmp(left->bytes, right->bytes, sizeof(left->bytes)) == 0;
}
