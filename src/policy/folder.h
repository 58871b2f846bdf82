/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Folders of policy files: which file of which folder counts, and reading it. Private to src/policy. */
#ifndef IOMMUD_POLICY_FOLDER_H
#define IOMMUD_POLICY_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#define POLICY_FILE_MAX (1024 * 1024)
#define FOLDER_REASON_MAX 200

/* One file that counts, or masks. */
struct folder_entry {
	char *name;
	size_t folder; /* index of its folder, by priority */
};

struct folder_list {
	struct folder_entry *entries;
	size_t n;
};

/*
 * Opens a folder. Returns its descriptor (the caller's), -ENOENT if there is none, or -EINVAL with what is wrong in
 * `reason`. Unless `any_owner`, it must be no link, belong to root and be writable by nobody else.
 */
int folder_open(const char *path, bool any_owner, char reason[FOLDER_REASON_MAX]);

/* Adds the names of its *.policy files. 0, -ENOMEM, or -EINVAL with the reason. Leaves the descriptor open. */
int folder_read(int fd, size_t folder, struct folder_list *list, char reason[FOLDER_REASON_MAX]);

/* Puts the list in the order of names, and those of one name in the order of their folders. */
void folder_list_sort(struct folder_list *list);
/* The same, and leaves of each name only that of the folder with the lowest index. */
void folder_list_resolve(struct folder_list *list);
void folder_list_clear(struct folder_list *list);

/*
 * Reads one file. Returns 0 with its contents (the caller's, free()); 0 with NULL if it masks: a link to /dev/null, or
 * an empty file; -ENOMEM; or -EINVAL with the reason.
 */
int folder_read_file(int fd, const char *name, bool any_owner, char **ret_text, size_t *ret_size,
		     char reason[FOLDER_REASON_MAX]);

#endif
