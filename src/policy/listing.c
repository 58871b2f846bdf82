/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a policy is made of, for people: its rules as they were written, and its files with those that do not count. Decides
 * nothing, and reports no error: that is for policy_load().
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/folder.h"
#include "policy/keys.h"
#include "util/cleanup.h"

struct policy_place policy_rule_place(const struct policy *policy, size_t rule)
{
	const struct rule *found = &policy->rules[rule];

	return (struct policy_place){ policy->files[found->file], found->line, found->action };
}

static enum rule_section section_of(enum policy_part part)
{
	switch (part) {
	case POLICY_PART_MATCH:
		return SECTION_MATCH;
	case POLICY_PART_CLIENT:
		return SECTION_CLIENT;
	case POLICY_PART_GRANT:
		return SECTION_GRANT;
	}
	return N_SECTIONS;
}

/* Whether a line "Key=Value" of rule::text is to be shown in this section; a key's name may be in several. */
static bool is_shown(const char *line, enum rule_section section)
{
	size_t length = strcspn(line, "=");

	for (enum rule_key key = 0; key < N_KEYS; key++) {
		if (rule_keys[key].section != section || key == KEY_ACTION)
			continue;
		if (strlen(rule_keys[key].name) == length && strncmp(rule_keys[key].name, line, length) == 0)
			return true;
	}
	return false;
}

void policy_rule_part(const struct policy *policy, size_t rule, enum policy_part part, char *buffer, size_t size)
{
	const char *line = policy->rules[rule].text;
	enum rule_section section = section_of(part);
	size_t used = 0;

	buffer[0] = '\0';
	for (; line && *line; line += strcspn(line, "\n") + 1) {
		if (used < size && is_shown(line, section))
			used += snprintf(buffer + used, size - used, "%s%.*s", used ? " " : "",
					 (int)strcspn(line, "\n"), line);
	}
}

/* ---- files ---- */

struct listing {
	const char *const *dirs;
	bool any_owner;
	int *fds; /* of the folders, -1 for those that are missing or can't be trusted */
	size_t n_fds;
	struct folder_list files;
};

static void listing_clear(struct listing *listing)
{
	for (size_t i = 0; i < listing->n_fds; i++)
		close_fd(listing->fds[i]);
	free(listing->fds);
	folder_list_clear(&listing->files);
}

static int list_folders(struct listing *listing)
{
	char reason[FOLDER_REASON_MAX];
	size_t n = 0;
	int r = 0;

	while (listing->dirs[n])
		n++;
	listing->fds = reallocarray(NULL, n + 1, sizeof(listing->fds[0]));
	if (!listing->fds)
		return -ENOMEM;
	for (size_t i = 0; i < n && r != -ENOMEM; i++) {
		int fd = folder_open(listing->dirs[i], listing->any_owner, reason);

		listing->fds[listing->n_fds++] = fd < 0 ? -1 : fd;
		r = fd < 0 ? fd : folder_read(fd, i, &listing->files, reason);
	}
	folder_list_sort(&listing->files);
	return r == -ENOMEM ? r : 0;
}

static int find_state(const struct listing *listing, const struct folder_entry *entry, enum policy_file_state *ret)
{
	_cleanup_free_ char *text = NULL;
	char reason[FOLDER_REASON_MAX];
	size_t size;
	int r = folder_read_file(listing->fds[entry->folder], entry->name, listing->any_owner, &text, &size, reason);

	if (r == -ENOMEM)
		return r;
	*ret = r < 0 ? POLICY_FILE_BAD : text ? POLICY_FILE_READ : POLICY_FILE_MASKS;
	return 0;
}

static int tell_files(const struct listing *listing, void (*tell)(void *userdata, const struct policy_file *file),
		      void *userdata)
{
	const struct folder_entry *first = NULL;

	for (size_t i = 0; i < listing->files.n; i++) {
		const struct folder_entry *entry = &listing->files.entries[i];
		bool overridden = first && strcmp(first->name, entry->name) == 0;
		struct policy_file file = { .dir = listing->dirs[entry->folder], .name = entry->name };

		if (!overridden)
			first = entry;
		file.by = overridden ? listing->dirs[first->folder] : NULL;
		file.state = POLICY_FILE_OVERRIDDEN;
		if (!overridden && find_state(listing, entry, &file.state) < 0)
			return -ENOMEM;
		tell(userdata, &file);
	}
	return 0;
}

int policy_list_files(const char *const *dirs, bool any_owner,
		      void (*tell)(void *userdata, const struct policy_file *file), void *userdata)
{
	struct listing listing = { .dirs = dirs, .any_owner = any_owner };
	int r = list_folders(&listing);

	if (r == 0)
		r = tell_files(&listing, tell, userdata);
	listing_clear(&listing);
	return r;
}
