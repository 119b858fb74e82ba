// SPDX-License-Identifier: MIT
#include "cli/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// ---- Who ----

static bool
is_number(const char *text, unsigned long *ret)
{
	char *end;
	errno = 0;
	*ret = strtoul(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && *ret < (uid_t)-1;
}

static int
find_group(const char *text, gid_t *ret, char *error, size_t error_size)
{
	const struct group *group = getgrnam(text);
	unsigned long number;
	if (group != NULL) {
		*ret = group->gr_gid;
		return 0;
	}
	if (is_number(text, &number)) {
		*ret = (gid_t)number;
		return 0;
	}
	snprintf(error, error_size, "there is no group '%s'", text);
	return -1;
}

int
privileges_find(const char *text, struct user *ret, char *error, size_t error_size)
{
	size_t size = strcspn(text, ":");
	unsigned long number;
	if (size == 0 || size >= sizeof ret->name) {
		snprintf(error, error_size, "right would be USER or USER:GROUP");
		return -1;
	}
	memcpy(ret->name, text, size);
	ret->name[size] = '\0';
	const struct passwd *passwd = getpwnam(ret->name);
	if (passwd == NULL && is_number(ret->name, &number))
		passwd = getpwuid((uid_t)number);
	if (passwd == NULL || strlen(passwd->pw_name) >= sizeof ret->name) {
		snprintf(error, error_size, "there is no user '%s'", ret->name);
		return -1;
	}
	strcpy(ret->name, passwd->pw_name);
	ret->uid = passwd->pw_uid;
	ret->gid = passwd->pw_gid;
	if (ret->uid == 0) {
		snprintf(error, error_size, "that is root; right would be a user with less rights, such as one made for hvfs");
		return -1;
	}
	return text[size] == ':' ? find_group(text + size + 1, &ret->gid, error, error_size) : 0;
}

// ---- Becoming it ----

// Of this thread. In the others the kernel takes them away in the same way, when they become the user.
static bool
has_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };
	return syscall(SYS_capget, &header, data) != 0 || data[0].effective != 0 || data[1].effective != 0 ||
	       data[0].permitted != 0 || data[1].permitted != 0;
}

static int
become(const struct user *user)
{
	if (initgroups(user->name, user->gid) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
	    setresuid(user->uid, user->uid, user->uid) != 0)
		return -1;
	errno = EPERM;
	return setuid(0) == 0 || seteuid(0) == 0 || has_capabilities() ? -1 : 0;
}

int
privileges_give_up(const struct user *user, char *error, size_t error_size)
{
	pid_t parent = getppid();
	int death_signal = 0, dumpable = prctl(PR_GET_DUMPABLE);
	prctl(PR_GET_PDEATHSIG, &death_signal);
	if (become(user) != 0) {
		snprintf(error, error_size, "--user %s: root can not be given up: %s", user->name, strerror(errno));
		return -1;
	}
	// The kernel forgets both when a process becomes somebody else. It may say then that core dumps go to a program.
	if (dumpable == 0)
		prctl(PR_SET_DUMPABLE, 0);
	// The first process of --daemon relies on this.
	if (death_signal != 0) {
		prctl(PR_SET_PDEATHSIG, death_signal);
		if (getppid() != parent)
			raise(death_signal);
	}
	return 0;
}

// A sanitizer looks at its process as a debugger does, at the end.
void
privileges_hide_memory(void)
{
#ifdef __SANITIZE_ADDRESS__
	return;
#endif
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	prctl(PR_SET_DUMPABLE, 0);
}
