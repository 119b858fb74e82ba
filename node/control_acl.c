// SPDX-License-Identifier: MIT
// Who may do what, while the node runs:
//
//   {"command":"acl","volume":NAME}        {"file":PATH or null,"entries":[{"peer","volume","right","label","connected"}]}; volume may be
//                                          missing
//   {"command":"allow","volume":NAME,"peer":TEXT,"right":TEXT,"label":TEXT}
//   {"command":"deny","volume":NAME,"peer":TEXT}
//                                          {"ok":true,"was":RIGHT,"is":RIGHT,"file":PATH or null}, when it is in force and in the
//                                          file. label may be missing
//
// A change is in force at once. The file is written by the worker; what is changed meanwhile is written after that, together.
#include "node/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct acl_save {
	struct task task;
	struct node *node;
	char *text;
	uint64_t number; // of the last change that is in it
	int rc;
	char error[PATH_MAX + 300];
};

// ---- Showing ----

static bool
is_connected(const struct node *node, const struct peer *peer)
{
	for (uint32_t slot = 0; slot < LIMIT_LINKS; slot++)
		if (node->links[slot] != NULL && node->links[slot]->role == LINK_CHILD && peer_equal(&node->links[slot]->peer, peer))
			return true;
	return false;
}

static json_t *
file_name(const struct node *node)
{
	return node->config.acl[0] != '\0' ? json_string(node->acl_file.path) : json_null();
}

void
command_run_acl(struct client *client, const json_t *request)
{
	const char *volume = json_string_value(json_object_get(request, "volume"));
	const struct node *node = client->control->node;
	json_t *entries = json_array();
	const struct acl_entry *entry;
	char peer[PEER_TEXT_SIZE];

	for (size_t i = 0; (entry = acl_get(node->acl, i)) != NULL; i++) {
		json_t *label = json_string(entry->label);

		if (volume != NULL && strcmp(entry->volume, volume) != 0 && strcmp(entry->volume, "*") != 0) {
			json_decref(label);
			continue;
		}
		json_array_append_new(entries, json_pack("{sssssssosb}", "peer", peer_print(&entry->peer, peer), "volume", entry->volume,
							 "right", right_name(entry->right), "label",
							 label != NULL ? label : json_string("?"), "connected",
							 is_connected(node, &entry->peer)));
	}
	client_answer(client, json_pack("{soso}", "file", file_name(node), "entries", entries));
}

// ---- Writing ----

static void save_begin(struct node *node);

static void
save_run(struct task *task)
{
	struct acl_save *save = (struct acl_save *)task;

	save->rc = acl_file_save(&save->node->acl_file, save->text, save->error, sizeof(save->error));
}

static void
save_answer(struct client *client, const struct acl_save *save)
{
	if (save->rc == 0)
		client_answer(client, json_pack("{sbssssso}", "ok", 1, "was", client->right_was, "is", client->right_is, "file",
						json_string(save->node->acl_file.path)));
	else
		client_answer_error(client, "it is in force, but only as long as this node runs: %s", save->error);
	client->wait = WAIT_NOT;
	client_go_on(client);
}

static void
save_done(struct task *task)
{
	struct acl_save *save = (struct acl_save *)task;
	struct node *node = save->node;

	if (save->rc != 0)
		log_warnx("%s", save->error);
	for (struct client *client = node->control != NULL ? node->control->clients : NULL; client != NULL; client = client->next)
		if (client->wait == WAIT_ACL && client->acl_change <= save->number)
			save_answer(client, save);
	node->acl_saves = false;
	if (node->acl_changes > save->number)
		save_begin(node);
	free(save->text);
	free(save);
}

static void
save_begin(struct node *node)
{
	struct acl_save *save;

	if (node->acl_saves)
		return;
	save = calloc(1, sizeof(*save));
	CHECK(save != NULL);
	save->task = (struct task){.run = save_run, .done = save_done};
	save->node = node;
	save->text = acl_print(node->acl);
	save->number = node->acl_changes;
	node->acl_saves = true;
	worker_submit(node->worker, &save->task);
}

// ---- Changing ----

// False: the client has its answer.
static bool
read_entry(struct client *client, const json_t *request, struct acl_entry *ret)
{
	const char *volume = json_string_value(json_object_get(request, "volume"));
	const char *peer = json_string_value(json_object_get(request, "peer"));
	const char *label = json_string_value(json_object_get(request, "label"));
	char why[512];

	*ret = (struct acl_entry){.label = ""};
	if (volume == NULL || peer == NULL)
		snprintf(why, sizeof(why), "\"volume\" or \"peer\" is no text");
	else if (acl_check_volume(volume, why, sizeof(why)) == 0 && peer_parse(peer, &ret->peer, why, sizeof(why)) == 0 &&
		 (label == NULL || acl_check_label(label, why, sizeof(why)) == 0)) {
		snprintf(ret->volume, sizeof(ret->volume), "%s", volume);
		snprintf(ret->label, sizeof(ret->label), "%s", label != NULL ? label : "");
		return true;
	}
	client_answer_error(client, "%s", why);
	return false;
}

// Who may do nothing at all any more has no link. With a session it is the core that closes it, when it has taken back what is held.
static void
close_links(struct node *node)
{
	bool has_session[LIMIT_LINKS] = {false};
	struct child_info info;

	for (uint32_t at = 0; core_child_info(node->core, &at, node_now(), &info);)
		if (info.link >= 0)
			has_session[info.link] = true;
	for (uint32_t slot = 0; slot < LIMIT_LINKS; slot++) {
		struct node_link *link = node->links[slot];

		if (link == NULL || link->role != LINK_CHILD || has_session[slot] || acl_knows(node->acl, &link->peer))
			continue;
		log_info("child %s is not known here any more; its link is closed", link_peer(link->link));
		node_link_drop(link);
	}
}

static void
changed(struct client *client, const struct acl_entry *entry, enum right was)
{
	enum right is = acl_right(client->control->node->acl, &entry->peer, entry->volume);
	struct node *node = client->control->node;
	char peer[PEER_TEXT_SIZE];

	log_info("%s may %s of volume %s now (was %s)", peer_print(&entry->peer, peer), right_name(is), entry->volume, right_name(was));
	node_feed(node, &(struct event){.type = EVENT_RIGHTS});
	close_links(node);
	client->acl_change = ++node->acl_changes;
	client->right_was = right_name(was);
	client->right_is = right_name(is);
	if (node->config.acl[0] == '\0') {
		client_answer(client, json_pack("{sbsssssn}", "ok", 1, "was", right_name(was), "is", right_name(is), "file"));
		return;
	}
	client->wait = WAIT_ACL;
	save_begin(node);
}

void
command_run_allow(struct client *client, const json_t *request)
{
	const char *right = json_string_value(json_object_get(request, "right"));
	struct acl *acl = client->control->node->acl;
	struct acl_entry entry;
	enum right was;
	char why[512];

	if (!read_entry(client, request, &entry))
		return;
	was = acl_right(acl, &entry.peer, entry.volume);
	if (right_parse(right != NULL ? right : "", &entry.right, why, sizeof(why)) != 0 || acl_set(acl, &entry, why, sizeof(why)) != 0) {
		client_answer_error(client, "%s", why);
		return;
	}
	changed(client, &entry, was);
}

// The line goes; if the peer has a right without it, it gets one that says none.
void
command_run_deny(struct client *client, const json_t *request)
{
	struct acl *acl = client->control->node->acl;
	struct acl_entry entry;
	enum right was;
	char why[512];

	if (!read_entry(client, request, &entry))
		return;
	was = acl_right(acl, &entry.peer, entry.volume);
	acl_remove(acl, &entry.peer, entry.volume);
	entry.right = RIGHT_NONE;
	if (acl_right(acl, &entry.peer, entry.volume) != RIGHT_NONE && acl_set(acl, &entry, why, sizeof(why)) != 0) {
		client_answer_error(client, "%s", why);
		return;
	}
	changed(client, &entry, was);
}
