// SPDX-License-Identifier: MIT
// A list of what is refused, not of what is allowed: what the C library, OpenSSL and libfuse call changes with their
// versions, and a disk that hangs on a system call nobody thought of is worse than one that could have made it. The kernel
// notes which calls are always allowed, and asks the filter for those no more.
//
// Landlock is not used: 'hvfs cache add' takes any path that the administrator gives, long after the start.
#include "cli/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
enum { ARCH = AUDIT_ARCH_X86_64 };
#elif defined(__i386__)
enum { ARCH = AUDIT_ARCH_I386 };
#elif defined(__aarch64__)
enum { ARCH = AUDIT_ARCH_AARCH64 };
#elif defined(__arm__) && defined(__ARMEL__)
enum { ARCH = AUDIT_ARCH_ARM };
#elif defined(__riscv) && __riscv_xlen == 64
enum { ARCH = AUDIT_ARCH_RISCV64 };
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
enum { ARCH = AUDIT_ARCH_PPC64LE };
#else
enum { ARCH = 0 }; // no filter is made
#endif

static const long refused[] = {
	// Other programs and processes.
	SYS_execve, SYS_execveat,
#ifndef __SANITIZE_ADDRESS__ // it looks at its process as a debugger does, at the end
	SYS_ptrace,
#endif
	SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
#ifdef SYS_pidfd_getfd
	SYS_pidfd_getfd,
#endif
#ifdef SYS_process_madvise
	SYS_process_madvise,
#endif
	// Mounts and namespaces.
	SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare, SYS_open_tree, SYS_move_mount,
	SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
#ifdef SYS_mount_setattr
	SYS_mount_setattr,
#endif
	SYS_open_by_handle_at, SYS_name_to_handle_at, SYS_mknodat,
#ifdef SYS_mknod
	SYS_mknod,
#endif
	// Who it is.
	SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setfsuid, SYS_setfsgid,
	SYS_setgroups, SYS_capset, SYS_personality,
	// The kernel and the machine.
	SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd,
#ifdef SYS_kexec_file_load
	SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
	SYS_iopl, SYS_ioperm,
#endif
#ifdef SYS_modify_ldt
	SYS_modify_ldt,
#endif
	SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_quotactl, SYS_syslog, SYS_vhangup, SYS_sethostname, SYS_setdomainname,
	SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_add_key, SYS_request_key, SYS_keyctl,
	SYS_fanotify_init, SYS_lookup_dcookie, SYS_io_uring_setup,
};

enum { PROGRAM_MAX = 400 };

struct program {
	struct sock_filter list[PROGRAM_MAX];
	unsigned short count;
};

static void
add(struct program *program, uint16_t code, uint32_t value, uint8_t if_true, uint8_t if_false)
{
	program->list[program->count++] = (struct sock_filter){ .code = code, .jt = if_true, .jf = if_false, .k = value };
}

static void
add_load(struct program *program, size_t offset)
{
	add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void
add_answer(struct program *program, uint32_t answer)
{
	add(program, BPF_RET | BPF_K, answer, 0, 0);
}

static const uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;

// The lower half of argument ${i}.
static size_t
argument(int i)
{
	size_t at = offsetof(struct seccomp_data, args) + (size_t)i * sizeof(uint64_t);
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? at + sizeof(uint32_t) : at;
}

// Of call ${number} refuse those where argument ${i} has all bits of ${bits}.
static void
add_bits(struct program *program, long number, int i, uint32_t bits)
{
	add(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 5);
	add_load(program, argument(i));
	add(program, BPF_ALU | BPF_AND | BPF_K, bits, 0, 0);
	add(program, BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1);
	add_answer(program, refuse);
	add_load(program, offsetof(struct seccomp_data, nr));
}

// Sockets of the families that names and links are had by, and no others: those have had their holes.
static void
add_families(struct program *program)
{
	static const uint32_t families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };
	uint8_t count = sizeof families / sizeof *families;
	add(program, BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, (uint8_t)(count + 3));
	add_load(program, argument(0));
	for (uint8_t i = 0; i < count; i++)
		add(program, BPF_JMP | BPF_JEQ | BPF_K, families[i], (uint8_t)(count - i), 0);
	add_answer(program, SECCOMP_RET_ERRNO | EAFNOSUPPORT);
	add_load(program, offsetof(struct seccomp_data, nr));
}

static void
build(struct program *program)
{
	add_load(program, offsetof(struct seccomp_data, arch));
	add(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ARCH, 1, 0);
	add_answer(program, refuse); // numbers of another architecture mean something else
	add_load(program, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__
	add(program, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1); // x32
	add_answer(program, refuse);
#endif
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		add(program, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused[i], 0, 1);
		add_answer(program, refuse);
	}
	// No memory that can be written becomes code. (Libraries that are loaded late are mapped for reading only.)
#ifdef SYS_mmap
	add_bits(program, SYS_mmap, 2, PROT_WRITE | PROT_EXEC);
#endif
	add_bits(program, SYS_mprotect, 2, PROT_EXEC);
#ifdef SYS_pkey_mprotect
	add_bits(program, SYS_pkey_mprotect, 2, PROT_EXEC);
#endif
#ifdef SYS_shmat
	add_bits(program, SYS_shmat, 2, SHM_EXEC);
#endif
	add_families(program);
	add_answer(program, SECCOMP_RET_ALLOW);
}

int
sandbox_enter(char *error, size_t error_size)
{
	static struct program program;
	struct sock_fprog filter = { .filter = program.list };
	long result;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		snprintf(error, error_size, "no new privileges: %s", strerror(errno));
		return -1;
	}
	program.count = 0;
	if (ARCH != 0)
		build(&program);
	else
		add_answer(&program, SECCOMP_RET_ALLOW); // even so: it brings 'no new privileges' to all threads
	filter.len = program.count;
	result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
	if (result == 0)
		return 0;
	snprintf(error, error_size, "seccomp: %s", result > 0 ? "a thread has a filter of its own" : strerror(errno));
	return -1;
}
