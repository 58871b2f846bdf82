/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notes, and what is done by them. A node of a group belongs to as many transactions as devices of the group are out: who
 * comes later finds our own context on it, and takes over what an earlier note has as the former one. A lock keeps the workers
 * of several devices apart.
 */
#include "helper/node-labels.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util/cleanup.h"
#include "util/fileio.h"

#define NOTE_PREFIX "contexts-"
#define NOTE_NAME_MAX 48
#define NOTE_TEMPORARY "contexts.new"
#define NOTE_LOCK "contexts.lock"
#define LINE_MAX_SIZE (DEVICE_NODE_NAME_MAX + 2 * SECURITY_CONTEXT_MAX + 64)

DEFINE_CLEANUP(directory, DIR *, closedir)

/* One node in a note: what it is, and its contexts before and since. */
struct noted {
	struct device_node node;
	uint64_t inode;
	char former[SECURITY_CONTEXT_MAX];
	char given[SECURITY_CONTEXT_MAX];
};

struct note {
	struct noted list[DEVICE_NODES_MAX];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void say(struct node_labels *labels, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(labels->note, sizeof(labels->note), format, args);
	va_end(args);
}

/* ---- notes ---- */

static void note_name(uint64_t transaction, char *name)
{
	snprintf(name, NOTE_NAME_MAX, NOTE_PREFIX "%" PRIu64, transaction);
}

/* "NAME MAJOR:MINOR INODE FORMER GIVEN"; neither names nor contexts have blanks. */
static bool parse_noted(const char *line, struct noted *ret)
{
	unsigned int node_major, node_minor;

	_Static_assert(DEVICE_NODE_NAME_MAX == 48 && SECURITY_CONTEXT_MAX == 512, "the widths below");
	if (sscanf(line, "%47s %u:%u %" SCNu64 " %511s %511s", ret->node.name, &node_major, &node_minor, &ret->inode,
		   ret->former, ret->given) != 6)
		return false;
	ret->node.number = makedev(node_major, node_minor);
	return true;
}

static int note_read(int dir_fd, const char *name, struct note *ret)
{
	_cleanup_free_ char *text = NULL;
	int r = read_whole_file_at(dir_fd, name, DEVICE_NODES_MAX * LINE_MAX_SIZE, &text, NULL);
	char *rest = text, *line;

	*ret = (struct note){ 0 };
	if (r < 0)
		return r;
	while ((line = strsep(&rest, "\n")) && line[0]) {
		if (ret->n == DEVICE_NODES_MAX || !parse_noted(line, &ret->list[ret->n])) {
			ret->n = 0;
			return -EBADMSG;
		}
		ret->n++;
	}
	return 0;
}

/* Whole or not at all: a new file that is renamed. */
static int note_write(const struct node_labels *labels, const struct note *note)
{
	char name[NOTE_NAME_MAX];
	_cleanup_fd_ int fd = -1;

	fd = openat(labels->journal_dir_fd, NOTE_TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < note->n; i++) {
		const struct noted *noted = &note->list[i];

		if (dprintf(fd, "%s %u:%u %" PRIu64 " %s %s\n", noted->node.name, major(noted->node.number),
			    minor(noted->node.number), noted->inode, noted->former, noted->given) < 0)
			return -EIO;
	}
	note_name(labels->transaction, name);
	return renameat(labels->journal_dir_fd, NOTE_TEMPORARY, labels->journal_dir_fd, name) < 0 ? -errno : 0;
}

static bool is_same_node(const struct noted *left, const struct noted *right)
{
	return strcmp(left->node.name, right->node.name) == 0 && left->node.number == right->node.number &&
	       left->inode == right->inode;
}

static bool find_in_note(int dir_fd, const char *name, const struct noted *wanted, struct noted *ret)
{
	struct note note;

	if (note_read(dir_fd, name, &note) < 0)
		return false;
	for (size_t i = 0; i < note.n; i++) {
		if (is_same_node(&note.list[i], wanted)) {
			*ret = note.list[i];
			return true;
		}
	}
	return false;
}

/* Whether another transaction has the node, too; `ret` is how that has noted it. 1, 0, or a negative errno. */
static int find_other(const struct node_labels *labels, const struct noted *wanted, struct noted *ret)
{
	_cleanup_(cleanup_directory) DIR *directory = NULL;
	int fd = open_dir_at(labels->journal_dir_fd, ".");
	const struct dirent *entry;
	char own[NOTE_NAME_MAX];

	note_name(labels->transaction, own);
	directory = fd < 0 ? NULL : fdopendir(fd);
	if (!directory) {
		close_fd(fd);
		return fd < 0 ? fd : -ENOMEM;
	}
	while ((entry = readdir(directory))) {
		if (strncmp(entry->d_name, NOTE_PREFIX, strlen(NOTE_PREFIX)) == 0 && strcmp(entry->d_name, own) != 0 &&
		    find_in_note(labels->journal_dir_fd, entry->d_name, wanted, ret))
			return 1;
	}
	return 0;
}

/* ---- nodes ---- */

/* -ESTALE: there is another node of that name, or none. */
static int open_node(int dev_fd, const struct device_node *node, uint64_t *ret_inode)
{
	_cleanup_fd_ int fd = openat(dev_fd, node->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) || st.st_rdev != node->number)
		return -ESTALE;
	*ret_inode = st.st_ino;
	return TAKE_FD(fd);
}

static int open_noted(int dev_fd, const struct noted *noted)
{
	uint64_t inode;
	_cleanup_fd_ int fd = open_node(dev_fd, &noted->node, &inode);

	if (fd >= 0 && inode != noted->inode)
		return -ESTALE;
	return TAKE_FD(fd);
}

static int lock_notes(const struct node_labels *labels)
{
	_cleanup_fd_ int fd =
		openat(labels->journal_dir_fd, NOTE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return TAKE_FD(fd);
}

/* ---- there ---- */

/* `fd` is the node's, to be closed by the caller. */
static int note_node(struct node_labels *labels, const struct device_node *node, const char *context, struct noted *ret,
		     int *ret_fd)
{
	struct noted other;
	int r;

	*ret = (struct noted){ .node = *node };
	snprintf(ret->given, sizeof(ret->given), "%s", context);
	*ret_fd = open_node(labels->dev_fd, node, &ret->inode);
	if (*ret_fd < 0)
		return *ret_fd;
	r = labels->ops->get(*ret_fd, ret->former, sizeof(ret->former));
	if (r < 0)
		return r;
	r = find_other(labels, ret, &other);
	if (r == 1 && strcmp(ret->former, other.given) == 0)
		memcpy(ret->former, other.former, sizeof(ret->former));
	return r < 0 ? r : 0;
}

static int apply_noted(struct node_labels *labels, const struct note *note, const int *fds)
{
	int r = note_write(labels, note);

	if (r < 0)
		say(labels, "can't note what contexts the nodes had: %s", strerror(-r));
	for (size_t i = 0; r == 0 && i < note->n; i++) {
		r = labels->ops->set(fds[i], note->list[i].given);
		if (r < 0)
			say(labels, "/dev/%s can't get the security context %s: %s", note->list[i].node.name,
			    note->list[i].given, strerror(-r));
	}
	return r;
}

int node_labels_apply(struct node_labels *labels, const struct device_nodes *nodes, const char *context)
{
	_cleanup_fd_ int lock = lock_notes(labels);
	struct note note = { .n = nodes->n };
	int fds[DEVICE_NODES_MAX] = { -1, -1 };
	int r = lock < 0 ? lock : 0;

	if (strlen(context) >= SECURITY_CONTEXT_MAX || strpbrk(context, " \t\n"))
		return -EINVAL;
	for (size_t i = 0; r == 0 && i < nodes->n; i++) {
		r = note_node(labels, &nodes->list[i], context, &note.list[i], &fds[i]);
		if (r < 0)
			say(labels, "can't read the security context of /dev/%s: %s", nodes->list[i].name,
			    strerror(-r));
	}
	if (r == 0)
		r = apply_noted(labels, &note, fds);
	for (size_t i = 0; i < nodes->n; i++)
		close_fd(fds[i]);
	return r;
}

/* ---- and back ---- */

static int put_node_back(struct node_labels *labels, const struct noted *noted)
{
	_cleanup_fd_ int fd = open_noted(labels->dev_fd, noted);
	char now[SECURITY_CONTEXT_MAX];
	struct noted other;
	int r;

	/* Gone, or another node by now: udev labels new ones itself. */
	if (fd == -ESTALE)
		return 0;
	if (fd < 0)
		return fd;
	r = find_other(labels, noted, &other);
	if (r != 0)
		return r < 0 ? r : 0;
	r = labels->ops->get(fd, now, sizeof(now));
	if (r < 0)
		return r;
	if (strcmp(now, noted->given) == 0)
		return labels->ops->set(fd, noted->former);
	if (strcmp(now, noted->former) != 0)
		say(labels, "/dev/%s keeps the context %s, which somebody gave it while it was out; it had %s before",
		    noted->node.name, now, noted->former);
	return 0;
}

int node_labels_put_back(struct node_labels *labels)
{
	_cleanup_fd_ int lock = lock_notes(labels);
	char name[NOTE_NAME_MAX];
	struct note note;
	int r;

	if (lock < 0)
		return lock;
	note_name(labels->transaction, name);
	r = note_read(labels->journal_dir_fd, name, &note);
	if (r == -ENOENT)
		return 0;
	if (r == -EBADMSG)
		say(labels, "%s is damaged: nodes that only it named keep the contexts that they have", name);
	else if (r < 0)
		return r;
	for (size_t i = 0; i < note.n; i++) {
		r = put_node_back(labels, &note.list[i]);
		if (r < 0) {
			say(labels, "/dev/%s can't get its former context %s again: %s", note.list[i].node.name,
			    note.list[i].former, strerror(-r));
			return r;
		}
	}
	return unlinkat(labels->journal_dir_fd, name, 0) < 0 ? -errno : 0;
}
