/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy_load(): from folders to a policy. A folder or file that can't be trusted or read is an error like one in a rule,
 * since what it says might be a deny; reading goes on, so that all errors come in one run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/builder.h"
#include "policy/folder.h"
#include "util/cleanup.h"

const char *const policy_default_dirs[] = {
	"/etc/iommud/policy.d",
	"/run/iommud/policy.d",
	"/usr/lib/iommud/policy.d",
	NULL,
};

struct load {
	const char *const *dirs;
	bool any_owner;
	int *fds; /* of the folders, -1 for those that are missing or were refused */
	size_t n_fds;
	struct folder_list files;
	struct builder builder;
};

static void load_clear(struct load *load)
{
	for (size_t i = 0; i < load->n_fds; i++)
		close_fd(load->fds[i]);
	free(load->fds);
	folder_list_clear(&load->files);
	builder_clear(&load->builder);
}

static int load_folder(struct load *load, size_t index)
{
	struct report_place place = { .path = load->dirs[index] };
	char reason[FOLDER_REASON_MAX];
	int r = folder_open(load->dirs[index], load->any_owner, reason);

	load->fds[index] = r < 0 ? -1 : r;
	if (r >= 0)
		r = folder_read(r, index, &load->files, reason);
	if (r == -EINVAL)
		report_error(&load->builder.report, &place, "%s", reason);
	return r == -ENOMEM ? r : 0;
}

static int load_folders(struct load *load)
{
	size_t n = 0;
	int r;

	while (load->dirs[n])
		n++;
	load->fds = reallocarray(NULL, n + 1, sizeof(load->fds[0]));
	if (!load->fds)
		return -ENOMEM;
	for (; load->n_fds < n; load->n_fds++) {
		r = load_folder(load, load->n_fds);
		if (r < 0) {
			load->n_fds++;
			return r;
		}
	}
	folder_list_resolve(&load->files);
	return 0;
}

/* Names go into reports, logs and answers: what is not printable is shown as '?' and refused. */
static bool make_printable(char *path)
{
	bool was_printable = true;

	for (; *path; path++)
		if (*path <= ' ' || *path > '~') {
			*path = '?';
			was_printable = false;
		}
	return was_printable;
}

/* The path as it is shown, registered with the builder. Returns its index, or -ENOMEM. */
static int add_file(struct load *load, const struct folder_entry *entry, bool *ret_printable)
{
	const char *dir = load->dirs[entry->folder];
	size_t length = strlen(dir), size = length + strlen(entry->name) + 2;
	_cleanup_free_ char *path = reallocarray(NULL, size, 1);

	if (!path)
		return -ENOMEM;
	while (length > 1 && dir[length - 1] == '/')
		length--;
	snprintf(path, size, "%.*s/%s", (int)length, dir, entry->name);
	*ret_printable = make_printable(path + length + 1);
	return builder_add_file(&load->builder, path);
}

static int load_file(struct load *load, const struct folder_entry *entry)
{
	_cleanup_free_ char *text = NULL;
	char reason[FOLDER_REASON_MAX];
	bool printable;
	size_t size;
	int file = add_file(load, entry, &printable), r;

	if (file < 0)
		return file;
	if (!printable) {
		builder_file_error(&load->builder, file, "has a name with blanks or characters that are not ASCII");
		return 0;
	}
	r = folder_read_file(load->fds[entry->folder], entry->name, load->any_owner, &text, &size, reason);
	if (r == -EINVAL)
		builder_file_error(&load->builder, file, reason);
	else if (r < 0)
		return r;
	else if (text)
		builder_parse(&load->builder, file, entry->name, text, size);
	return 0;
}

static int load_all(struct load *load, struct policy **ret, struct policy_report *report)
{
	int r = builder_begin(&load->builder);

	if (r == 0)
		r = load_folders(load);
	for (size_t i = 0; r == 0 && i < load->files.n; i++)
		r = load_file(load, &load->files.entries[i]);
	return r < 0 ? r : builder_finish(&load->builder, ret, report);
}

int policy_load(const char *const *dirs, bool any_owner, struct policy **ret, struct policy_report *report)
{
	struct load load = { .dirs = dirs, .any_owner = any_owner };
	int r;

	*report = (struct policy_report){};
	r = load_all(&load, ret, report);
	load_clear(&load);
	return r;
}
