/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads /proc through a folder that is opened once, so that all that is read is of one process; that it is ours says the
 * pidfd, which is looked at before and after. Texts that are no printable ASCII are not known: no rule can name them, and
 * they end up in logs.
 */
#include "util/process-facts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/fileio.h"

#define CGROUP_FILE_MAX 65536

static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t end_length = strlen(end);

	return length > end_length && memcmp(text + length - end_length, end, end_length) == 0;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

bool process_unit_is_valid(const char *name)
{
	static const char *const kinds[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (ends_with(name, strlen(name), kinds[i]))
			return is_printable(name) && strlen(name) <= UNIT_NAME_MAX;
	return false;
}

/* What is behind "0::" or "1:name=systemd:", of which hybrid systems have both; systemd's own by name counts then. */
static const char *find_hierarchy(const char *text)
{
	const char *unified = NULL;

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *name;

		line += *line == '\n';
		name = line + strcspn(line, ":\n");
		if (strncmp(name, ":name=systemd:", strlen(":name=systemd:")) == 0)
			return name + strlen(":name=systemd:");
		if (strncmp(line, "0::", strlen("0::")) == 0)
			unified = line + strlen("0::");
	}
	return unified;
}

/* The next part of a path, without the '_' that systemd puts before names that could be the kernel's. 0: that was all. */
static size_t take_part(const char **path, const char **ret)
{
	size_t length;

	*path += strspn(*path, "/");
	*ret = *path + (**path == '_');
	length = strcspn(*ret, "/\n");
	*path = *ret + length;
	return length;
}

bool process_facts_parse_cgroup(const char *text, struct process_facts *facts)
{
	const char *path = find_hierarchy(text), *part, *slice = "-.slice";
	size_t length, slice_length = strlen("-.slice");

	facts->unit[0] = facts->slice[0] = '\0';
	if (!path || path[0] != '/' || strncmp(path, "/..", 3) == 0)
		return false;
	while ((length = take_part(&path, &part)) > 0 && ends_with(part, length, ".slice")) {
		slice = part;
		slice_length = length;
	}
	if (length > UNIT_NAME_MAX || slice_length > SLICE_NAME_MAX)
		return false;
	snprintf(facts->slice, sizeof(facts->slice), "%.*s", (int)slice_length, slice);
	if (!is_printable(facts->slice)) {
		facts->slice[0] = '\0';
		return false;
	}
	snprintf(facts->unit, sizeof(facts->unit), "%.*s", (int)length, part);
	if (!process_unit_is_valid(facts->unit))
		facts->unit[0] = '\0';
	return true;
}

void process_facts_parse_apparmor(const char *text, struct process_facts *facts)
{
	static const char *const confining[] = { " (enforce)", " (kill)" };
	size_t length = strlen(text), name = 0;

	facts->apparmor[0] = '\0';
	if (strcmp(text, "unconfined") == 0)
		name = length;
	for (size_t i = 0; i < ARRAY_SIZE(confining); i++)
		if (ends_with(text, length, confining[i]))
			name = length - strlen(confining[i]);
	if (name > 0 && name <= APPARMOR_NAME_MAX && is_printable(text))
		snprintf(facts->apparmor, sizeof(facts->apparmor), "%.*s", (int)name, text);
}

/* A pidfd polls readable once the process has ended, before it is reaped and its number can be another's. */
static bool is_alive(int pidfd)
{
	struct pollfd slot = { .fd = pidfd, .events = POLLIN };

	return poll(&slot, 1, 0) == 0;
}

static void read_executable(int process_fd, struct process_facts *facts)
{
	char path[EXECUTABLE_MAX + 1];
	ssize_t n = readlinkat(process_fd, "exe", path, sizeof(path));

	if (n <= 0 || n == sizeof(path))
		return;
	path[n] = '\0';
	/* What the kernel says of a file that is gone: what lies at the path now is another. */
	if (path[0] == '/' && is_printable(path) && !ends_with(path, n, " (deleted)"))
		memcpy(facts->executable, path, n + 1);
}

static void read_facts(int process_fd, struct process_facts *facts)
{
	_cleanup_free_ char *cgroup = NULL;
	char apparmor[APPARMOR_NAME_MAX + sizeof(" (unconfined)")];

	if (read_whole_file_at(process_fd, "cgroup", CGROUP_FILE_MAX, &cgroup, NULL) == 0)
		process_facts_parse_cgroup(cgroup, facts);
	read_executable(process_fd, facts);
	if (read_file_at(process_fd, "attr/apparmor/current", apparmor, sizeof(apparmor)) == 0)
		process_facts_parse_apparmor(apparmor, facts);
}

void process_facts_read(const char *proc, const struct identity *identity, struct process_facts *ret)
{
	_cleanup_fd_ int process_fd = -1;
	char path[64];

	memset(ret, 0, sizeof(*ret));
	if (identity->pidfd < 0 || identity->pid <= 0)
		return;
	snprintf(path, sizeof(path), "%s/%d", proc, (int)identity->pid);
	process_fd = open_dir_at(-1, path);
	if (process_fd < 0 || !is_alive(identity->pidfd))
		return;
	read_facts(process_fd, ret);
	if (!is_alive(identity->pidfd))
		memset(ret, 0, sizeof(*ret));
}

static void forget(struct identity *identity)
{
	char **texts[] = { &identity->unit, &identity->slice, &identity->executable, &identity->apparmor };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		free(*texts[i]);
		*texts[i] = NULL;
	}
}

static bool store(const char *text, bool known, char **ret)
{
	if (known)
		*ret = strdup(text);
	return !known || *ret;
}

int process_facts_store(const struct process_facts *facts, struct identity *identity)
{
	forget(identity);
	if (store(facts->unit, facts->slice[0], &identity->unit) &&
	    store(facts->slice, facts->slice[0], &identity->slice) &&
	    store(facts->executable, facts->executable[0], &identity->executable) &&
	    store(facts->apparmor, facts->apparmor[0], &identity->apparmor))
		return 0;
	forget(identity);
	return -ENOMEM;
}
