// SPDX-License-Identifier: MIT
// What `hvfs serve` is to do: flags, and an INI file that can say everything a flag says (a flag wins).
#ifndef HVFS_CLI_CONFIG_H
#define HVFS_CLI_CONFIG_H

#include "cli/privileges.h"
#include "node/node.h"

struct config {
	struct node_config node;
	struct {
		char volume[LIMIT_NAME_SIZE + 1];
		char file[4096];
	} volume_keys[LIMIT_VOLUMES]; // cli/volume_keys.h reads them
	size_t volume_key_count;
	struct at_rest_of {
		char volume[LIMIT_NAME_SIZE + 1]; // "": of all that have none of their own
		enum at_rest at_rest;
	} at_rests[LIMIT_VOLUMES + 1];
	size_t at_rest_count;
	char passphrase_file[4096]; // what opens them, if something has to; "": it is asked for
	struct user user; // whom to become; its name is "": nobody
	bool sandbox;     // the node refuses itself what it does not need any more
	bool daemon;
	char log_file[4096];  // "": standard error
	bool default_control; // node.control was not given: its directory may have to be made
};

// The defaults, then the file that ${argv} names with -c, then the flags in ${argv}: a key that is given as a flag is not
// taken from the file at all. Nothing is opened but the file. Returns 0, or -1 and a sentence that names the flag (or the
// file and its line), the value and what would be right.
int config_load(struct config *config, int argc, char **argv, char *error, size_t error_size);

// Make every path absolute, so that the daemon can leave its directory. Returns false, and changes nothing, when one would
// become too long (a socket's path has 107 bytes): then it has to stay.
bool config_make_absolute(struct config *config);

#endif
