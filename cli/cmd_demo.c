// SPDX-License-Identifier: MIT
// A root, a proxy and two leaves on this machine. The story is told in the order in which it happens; every command that
// is printed is the command that is run.
#include "cli/command.h"
#include "cli/demo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

// ---- What the machine must have ----

static int
check_machine(void)
{
	static const char *const programs[] = { "fusermount3", "mkfs.ext4", "debugfs", "diff", "cmp" };
	static const char *const packages[] = { "fuse3", "e2fsprogs", "e2fsprogs", "diffutils", "diffutils" };

	process_extend_path();
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
		if (!process_exists(programs[i]))
			return command_fail(&command_demo, "%s is missing: install the package %s", programs[i], packages[i]);
	if (access("/dev/fuse", F_OK) != 0)
		return command_fail(&command_demo,
				    "/dev/fuse: %s: this machine has no FUSE (modprobe fuse; a container must be given the device)",
				    strerror(errno));
	if (access("/dev/fuse", R_OK | W_OK) != 0)
		return command_fail(&command_demo, "/dev/fuse: %s: this user may not use FUSE; run it as root, or ask for mode 0666",
				    strerror(errno));
	return EXIT_DONE;
}

static bool
has_loop(void)
{
	char device[32];
	if (geteuid() != 0)
		return false;
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return false;
	int number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(device, sizeof device, "/dev/loop%d", number);
	return number >= 0 && access(device, R_OK | W_OK) == 0;
}

// ---- The file tree ----

// Bytes that are nowhere twice: a generator seeded by the file's number.
static bool
write_file(const char *path, unsigned number, size_t size)
{
	FILE *file = fopen(path, "we");
	uint64_t state = number * UINT64_C(0x9e3779b97f4a7c15) + 1;
	if (file == NULL)
		return false;
	for (size_t i = 0; i < size; i++) {
		state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		fputc((int)(state >> 56), file);
	}
	bool written = !ferror(file);
	return fclose(file) == 0 && written;
}

static bool
write_tree(void)
{
	static const char *const directories[] = { "source", "source/tree", "source/tree/a", "source/tree/a/b" };
	char path[64];
	bool done = true;
	for (size_t i = 0; i < 4; i++)
		done = done && mkdir(directories[i], 0755) == 0;
	for (unsigned i = 0; i < 60; i++) {
		snprintf(path, sizeof path, "%s/file-%u", directories[1 + i % 3], i);
		done = done && write_file(path, i, (size_t)i * i * 400);
	}
	return done && mkdir("r", 0755) == 0 && mkdir("l1", 0755) == 0 && mkdir("l2", 0755) == 0 && mkdir("mnt", 0755) == 0 &&
	       mkdir("out", 0755) == 0 && mkdir("out2", 0755) == 0;
}

// ---- The story ----

static void
build_nodes(struct demo *demo)
{
	demo_say("1. The storage of a volume of 512 MiB. It is sparse: it takes no space yet.");
	demo_run(demo, "hvfs create disk.img --size 512M");
	demo_say("2. The root owns the storage and uses the volume itself, as r/v.img.");
	demo_serve(demo, "--name root --volume v=disk.img --listen unix:r.sock --mount r", "r.ctl");
	demo_say("3. A proxy takes the volume from the root and gives it on. It has no mount of its own.");
	demo_serve(demo, "--name proxy --volume v --parent unix:r.sock --listen unix:p.sock", "p.ctl");
	demo_say("4. Two leaves take it from the proxy; each presents it as an image file. On real hosts each would be\n"
		 "   another machine, and the addresses host:port.");
	demo_serve(demo, "--name leaf1 --volume v --parent unix:p.sock --mount l1", "l1.ctl");
	demo_serve(demo, "--name leaf2 --volume v --parent unix:p.sock --mount l2", "l2.ctl");
}

static void
write_by_loop(struct demo *demo)
{
	demo_say("5. A file system on leaf1's image: a loop device makes a disk of it, with direct I/O.");
	demo_run(demo, "mkfs.ext4 -q l1/v.img");
	demo_mount(demo, "l1/v.img", "", "", "mnt");
	demo_say("6. Sixty files are copied into it, then it is unmounted: now everything is in the image, which is to\n"
		 "   say in leaf1's memory and on its way up, for the default write mode is async.");
	demo_run(demo, "cp -r source/tree mnt/tree");
	demo_unmount(demo, "mnt");
}

static void
write_by_mkfs(struct demo *demo)
{
	demo_say("5. A file system on leaf1's image, and sixty files in it. Without root there is no loop device; mkfs\n"
		 "   can fill the file system that it makes (to mount one without root, use fuse2fs).");
	demo_run(demo, "mkfs.ext4 -q -d source l1/v.img");
	demo_say("6. Everything is in the image now, which is to say in leaf1's memory and on its way up, for the\n"
		 "   default write mode is async.");
}

static void
read_on_leaf2(struct demo *demo)
{
	demo_say("7. leaf2 reads the same image. Nothing was flushed or told to it: a block that leaf1 alone has is\n"
		 "   called back from leaf1 when leaf2 asks for it.");
	if (demo->use_loop) {
		demo_mount(demo, "l2/v.img", " --read-only", "-o ro ", "mnt");
		demo_run(demo, "diff -r source/tree mnt/tree");
		demo_unmount(demo, "mnt");
	} else {
		// debugfs takes its request as one word, which demo_run can not show; so it is a file.
		demo_run(demo, "debugfs -f rdump.request l2/v.img");
		demo_run(demo, "diff -r source/tree out/tree");
	}
	if (!demo->failed)
		demo_say("   The trees are the same.");
}

static void
look_at_nodes(struct demo *demo)
{
	demo_say("8. What the proxy knows: its parent, its children, what each of them holds.");
	demo_run(demo, "hvfs status --control p.ctl");
}

static void
stop_nodes(struct demo *demo)
{
	demo_say("9. The leaves, the proxy and the root are stopped. Each first brings up what is only there.");
	demo_stop(demo, "l2.ctl");
	demo_stop(demo, "l1.ctl");
	demo_stop(demo, "p.ctl");
	demo_stop(demo, "r.ctl");
}

static void
read_at_root(struct demo *demo)
{
	demo_say("10. The root's storage is a plain disk image; everything that leaf1 wrote is in it.");
	demo_run(demo, "e2fsck -f -n disk.img");
	demo_run(demo, "debugfs -f rdump2.request disk.img");
	demo_run(demo, "diff -r source/tree out2/tree");
	if (!demo->failed)
		demo_say("   The trees are the same. That is hvfs: one disk, on every host.");
}

static bool
write_request(const char *path, const char *request)
{
	FILE *file = fopen(path, "we");
	if (file == NULL)
		return false;
	fputs(request, file);
	return fclose(file) == 0;
}

static void
tell(struct demo *demo)
{
	build_nodes(demo);
	if (demo->use_loop)
		write_by_loop(demo);
	else
		write_by_mkfs(demo);
	read_on_leaf2(demo);
	look_at_nodes(demo);
	stop_nodes(demo);
	read_at_root(demo);
}

static int
demo_command(int argc, char **argv)
{
	struct demo demo;
	if (argc > 0)
		return command_usage(&command_demo, "%s: not expected; the demo takes no arguments", argv[0]);
	if (check_machine() != EXIT_DONE || demo_start(&demo) != 0)
		return EXIT_FAILED;
	demo.use_loop = has_loop();
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("This plays in %s, which is removed at the end.\n", demo.directory);
	if (write_tree() && write_request("rdump.request", "rdump /tree out\n") && write_request("rdump2.request", "rdump /tree out2\n"))
		tell(&demo);
	else
		demo.failed = true;
	demo_clean_up(&demo);
	printf("\n%s\n", demo.failed ? "The demo FAILED; everything it started has been cleaned up." :
				       "The demo has passed; everything it started has been cleaned up.");
	return demo.failed ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_demo = {
	.name = "demo",
	.usage = "demo",
	.summary = "a root, a proxy and two leaves on this machine, explained",
	.help = "Builds a small tree of nodes in a temporary directory, makes a file system on one leaf's image, reads\n"
		"it through the other leaf and from the root's storage, says what it does, and cleans up. As root it\n"
		"mounts through loop devices; as an ordinary user it uses e2fsprogs on the image. Needs FUSE.\n",
	.run = demo_command,
};
