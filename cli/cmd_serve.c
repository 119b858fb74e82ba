// SPDX-License-Identifier: MIT
#include "cli/command.h"
#include "cli/config.h"
#include "cli/daemon.h"
#include "cli/notify.h"
#include "cli/paths.h"
#include "cli/sandbox.h"
#include "cli/steward.h"
#include "cli/volume_keys.h"
#include "node/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct serve {
	struct config config;
	struct daemon daemon;
	const char *directory; // to live on in, after --daemon
	struct steward steward;
};

static void
on_ready(void *arg)
{
	struct serve *serve = arg;
	notify("READY=1");
	daemon_ready(&serve->daemon, serve->config.log_file, serve->directory);
}

// Said once: by the first process of --daemon, or here.
static void
report_failure(struct serve *serve, const char *text)
{
	if (serve->daemon.report_fd >= 0)
		daemon_failed(&serve->daemon, text);
	else
		command_fail(&command_serve, "%s", text);
}

static void
on_failed(void *arg, const char *text)
{
	report_failure(arg, text);
}

static int
make_control_directory(struct serve *serve, char *error, size_t error_size)
{
	char directory[PATHS_SOCKET_SIZE];
	if (!serve->config.default_control)
		return 0;
	if (paths_control_directory(directory, sizeof directory, error, error_size) != 0)
		return -1;
	return paths_make_control_directory(directory, error, error_size);
}

// ---- Rights ----

static bool
becomes_user(const struct config *config)
{
	return config->user.name[0] != '\0' && geteuid() == 0;
}

static int
become_user(struct serve *serve, struct node *node, char *error, size_t error_size)
{
	const struct config *config = &serve->config;
	const struct user *user = &config->user;
	steward_add_socket(&serve->steward, config->node.control);
	for (size_t i = 0; i < config->node.listen_count; i++)
		if (config->node.listens[i].is_unix)
			steward_add_socket(&serve->steward, config->node.listens[i].path);
	if (node_give(node, user->uid, user->gid, error, error_size) != 0 || privileges_give_up(user, error, error_size) != 0 ||
	    node_check_writable(node, error, error_size) != 0)
		return -1;
	log_info("goes on as %s, uid %u, without any rights of root", user->name, (unsigned)user->uid);
	return 0;
}

static int
on_confine(void *arg, struct node *node, char *error, size_t error_size)
{
	struct serve *serve = arg;
	if (node_mount_path(node) != NULL)
		steward_set_mount(&serve->steward, node_mount_path(node));
	if (becomes_user(&serve->config) && become_user(serve, node, error, error_size) != 0)
		return -1;
	steward_seal(&serve->steward);
	if (!serve->config.sandbox || sandbox_enter(error, error_size) == 0)
		return 0;
	log_warnx("the sandbox can not be had here: %s; the node goes on without (--no-sandbox says that this is meant)", error);
	return 0;
}

static void
on_unmount(void *arg)
{
	struct serve *serve = arg;
	steward_unmount(&serve->steward);
}

// Before there are threads, and keys.
static int
prepare(struct serve *serve, char *error, size_t error_size)
{
	struct config *config = &serve->config;
	struct node_config *node = &config->node;
	if (node->key[0] != '\0' || config->volume_key_count > 0)
		privileges_hide_memory();
	if (!config->sandbox && !becomes_user(config))
		return 0;
	node->confine = on_confine;
	node->confine_arg = serve;
	if (node->mount[0] == '\0' && !becomes_user(config))
		return 0;
	node->unmount = on_unmount;
	return steward_start(&serve->steward, error, error_size);
}

// ----

// The node itself, in the process that stays.
static int
run_node(struct serve *serve)
{
	char error[2048];
	struct node *node = NULL;
	serve->steward.fd = -1;
	log_set_level(serve->config.node.settings.log_level);
	log_set_name(serve->config.node.name);
	if ((serve->config.log_file[0] == '\0' || daemon_log_to(serve->config.log_file, error, sizeof error) == 0) &&
	    make_control_directory(serve, error, sizeof error) == 0 && prepare(serve, error, sizeof error) == 0 &&
	    volume_keys_open(&serve->config, error, sizeof error) == 0)
		node = node_create(&serve->config.node, on_ready, on_failed, serve, error, sizeof error);
	int status = node != NULL ? node_run(node) : EXIT_FAILED;
	node_destroy(node);
	steward_end(&serve->steward);
	volume_keys_close(&serve->config);
	if (node == NULL)
		report_failure(serve, error);
	return status;
}

// What to say when nothing fails and nothing gets ready: only a parent can be the reason.
static void
explain_late(const struct config *config, char *text, size_t text_size)
{
	char patience[UNITS_TEXT_SIZE];
	snprintf(text, text_size, "--parent %.300s: no volume came from there within %s; is a node running there? (--io-timeout says how long is waited)",
		 config->node.parents[0].text, units_print_duration(config->node.io_timeout_ms, patience));
}

static int
serve_loaded(struct serve *serve)
{
	char error[2048], late[512];
	serve->daemon.report_fd = -1;
	if (serve->config.daemon) {
		serve->directory = config_make_absolute(&serve->config) ? "/" : NULL;
		explain_late(&serve->config, late, sizeof late);
		int role = daemon_start(&serve->daemon, serve->config.node.io_timeout_ms, late, error, sizeof error);
		if (role < 0)
			return command_fail(&command_serve, "%s", error);
		if (role > 0)
			return EXIT_DONE;
	}
	return run_node(serve);
}

static int
serve_run(int argc, char **argv)
{
	char error[2048];
	struct serve *serve = calloc(1, sizeof *serve);
	if (serve == NULL)
		return command_fail(&command_serve, "no memory");
	int status;
	if (config_load(&serve->config, argc, argv, error, sizeof error) != 0 ||
	    node_config_check(&serve->config.node, error, sizeof error) != 0)
		status = command_usage(&command_serve, "%s", error);
	else
		status = serve_loaded(serve);
	free(serve);
	return status;
}

const struct command command_serve = {
	.name = "serve",
	.usage = "serve [-c FILE] [FLAGS]",
	.summary = "run a node: root, proxy or leaf of volumes",
	.help = "In the foreground until SIGTERM, SIGINT, SIGHUP, 'hvfs stop' or an unmount: then everything written here is\n"
		"brought to the root, the mount goes, and the node leaves in order. A flag without its '--' is a key of\n"
		"the file given with -c (lines of KEY = VALUE; a flag given on the command line wins over the file).\n"
		"Sizes take K, M, G, T; durations ms, s, m, h.\n\n"
		"  -c FILE                read FILE first\n"
		"  --name NODE            this node's name (the host's name)\n"
		"  --volume NAME=STORE    be root of NAME, kept in STORE: a file or block device made by 'hvfs create'\n"
		"  --volume NAME          take NAME from a parent. Both forms repeatable\n"
		"  --parent ADDR[,ADDR…]  parents to try, in order: HOST:PORT, [IPv6]:PORT, unix:PATH; with --key\n"
		"                         sha256:HEX@HOST:PORT, whose key has that fingerprint\n"
		"  --listen ADDR          serve children here. Repeatable. TCP beyond this machine needs --key (or --insecure)\n"
		"  --key FILE             this node's key ('hvfs keygen' makes one): every TCP link is TLS 1.3, both ends with\n"
		"                         keys that the other knows\n"
		"  --acl FILE             who may do what: lines of PEER VOLUME RIGHT [label]; PEER is sha256:HEX or uid:N,\n"
		"                         VOLUME a name or *, RIGHT none, proxy (of sealed ones), read or read-write. Who is not listed may\n"
		"                         nothing, but for this user and root on unix sockets\n"
		"  --volume-key VOLUME=FILE  VOLUME is sealed with the keys in FILE ('hvfs volume-key'): links carry ciphertext, which\n"
		"                         who has a proxy's key can pass on, and neither read nor change. Repeatable\n"
		"  --at-rest [VOLUME=]FORM  how the STORE of a sealed volume has its blocks: sealed (ciphertext, with a file beside\n"
		"                         it for the verifiers; what a STORE without data begins as) or plain (a raw image). Repeatable\n"
		"  --mount DIR            present each volume as DIR/NAME.img\n"
		"  --allow-other          others may use the mount (an ordinary user needs user_allow_other in\n"
		"  --allow-root           /etc/fuse.conf for this); or root alone, as 'hvfs attach' needs it\n"
		"  --write-mode MODE      when a write is acknowledged: async (in this node's cache; the default),\n"
		"                         semi-sync (at the parent too), sync (at the root)\n"
		"  --durability WHERE     when a fsync returns: root (everything is on the root's stable storage; the\n"
		"                         default), parent (it is in the parent's memory), local (in this node's)\n"
		"  --on-disconnect WHAT   when the parent can not be reached: wait (as long as --io-timeout; the default),\n"
		"                         error (requests that need it fail at once), error:DURATION (once it is away\n"
		"                         for so long)\n"
		"  --cache LEVEL[/LEVEL...]  the cache, top to bottom (mem:256M); a LEVEL is\n"
		"                         mem:SIZE[,ways=N][,hash=NAME][,policy=NAME]. 'hvfs cache' changes it later.\n"
		"                         The last may be disk:PATH:SIZE: clean blocks, which outlive a restart\n"
		"  --journal PATH:SIZE    with --durability local: what is not on the root's stable storage is kept in this file\n"
		"                         or block device, durably, before a fsync returns, and claimed after a crash\n"
		"  --read-only            no writes through this node\n",
	.more = "  --passphrase-file FILE the first line opens the key files that are protected; else it is asked for\n"
		"  --hb-ttl DURATION      lease of all that a child got, renewed by heartbeats (30s)\n"
		"  --ttl DURATION         lease of each block given to a child (20m)\n"
		"  --io-timeout DURATION  when a request that can not go on ends with an error, or 'never' (2m)\n"
		"  --writeback DURATION   age at which a dirty block is brought up (5s)\n"
		"  --readahead SIZE       largest window read ahead of a sequential reader; 0: none (4M)\n"
		"  --push SIZE            how far ahead of a child's sequential reads blocks are sent to it; 0: not (the\n"
		"                         default: the child's own read-ahead does it)\n"
		"  --directory RECORDS    blocks given to children, each child's counted, beyond which the node takes back\n"
		"                         those that have not been asked for lately (16M)\n"
		"  --control PATH         control socket ($XDG_RUNTIME_DIR/hvfs/NODE.sock, /run/hvfs/NODE.sock for root)\n"
		"  --rescue DIR           where bytes go that can not be brought to the root any more, since others went on\n"
		"                         ($XDG_STATE_HOME/hvfs/rescue or ~/.local/state/hvfs/rescue, /var/lib/hvfs/rescue\n"
		"                         for root)\n"
		"  --user USER[:GROUP]    started by root: once everything is open and mounted, become USER, without any rights\n"
		"                         of root; what it has to write later must be USER's\n"
		"  --no-sandbox           do without: else a node that serves can not run programs, mount, or gain rights any\n"
		"                         more, and what is broken in it is less worth to somebody who breaks in\n"
		"  --daemon               go to the background once ready: mounted, and each volume's size known; or\n"
		"                         exit 1 and say why\n"
		"  --log-level LEVEL      error, warn, info (the default), debug\n"
		"  --log-file FILE        append the log to FILE instead of standard error\n"
		"  --insecure             without a key listen on, and dial, TCP addresses beyond this machine, though links\n"
		"                         are neither authenticated nor encrypted then\n",
	.run = serve_run,
};
