/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-journal.h"

#include <errno.h>
#include <endian.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/log.h"

#define SOCKET "/run/systemd/journal/socket"
#define ENTRIES_MAX 4096

/* What arrives is kept by a thread: a sender waits when nobody reads. */
static struct {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t arrived;
	int fd;
	struct journal_entry *entries[ENTRIES_MAX];
	size_t n_entries;
	unsigned int n_marks, n_marks_sent;
} journal = { .lock = PTHREAD_MUTEX_INITIALIZER, .arrived = PTHREAD_COND_INITIALIZER };

static void must(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "fake journal: %s: %s\n", what, strerror(errno));
	abort();
}

/* ---- the native protocol: NAME=VALUE\n, or NAME\n, 64 bits of size, VALUE\n ---- */

static const char *read_value(const char *at, const char *end, struct journal_field *field)
{
	uint64_t size;

	must(end - at >= (ptrdiff_t)sizeof(size), "a size");
	memcpy(&size, at, sizeof(size));
	field->size = le64toh(size);
	at += sizeof(size);
	must((uint64_t)(end - at) > field->size && at[field->size] == '\n', "a value");
	field->value = strndup(at, field->size);
	return at + field->size + 1;
}

static const char *read_field(const char *at, const char *end, struct journal_field *field)
{
	const char *line = memchr(at, '\n', end - at), *sign;

	must(line, "a line");
	sign = memchr(at, '=', line - at);
	snprintf(field->name, sizeof(field->name), "%.*s", (int)((sign ? sign : line) - at), at);
	if (!sign)
		return read_value(line + 1, end, field);
	field->size = line - sign - 1;
	field->value = strndup(sign + 1, field->size);
	return line + 1;
}

static struct journal_entry *read_entry(const char *text, size_t size)
{
	struct journal_entry *entry = calloc(1, sizeof(*entry));
	const char *at = text;

	must(entry, "memory");
	while (at < text + size) {
		must(entry->n_fields < JOURNAL_FIELDS_MAX, "fewer fields");
		at = read_field(at, text + size, &entry->fields[entry->n_fields++]);
	}
	return entry;
}

/* ---- what arrives ---- */

/* What is too large for a datagram comes as a file. */
static ssize_t read_file(struct msghdr *message, char *buffer, size_t size)
{
	const struct cmsghdr *control = CMSG_FIRSTHDR(message);
	ssize_t n;
	int fd;

	if (!control)
		return 0;
	memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	n = pread(fd, buffer, size, 0);
	close_fd(fd);
	return n;
}

static void *receive(void *userdata)
{
	static char buffer[1 << 20];

	for (;;) {
		char control[CMSG_SPACE(sizeof(int))];
		struct iovec iov = { buffer, sizeof(buffer) };
		struct msghdr message = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
		};
		ssize_t n = recvmsg(journal.fd, &message, 0);
		struct journal_entry *entry;

		must(n >= 0, "recvmsg");
		if (n == 0)
			n = read_file(&message, buffer, sizeof(buffer));
		entry = n > 0 ? read_entry(buffer, n) : NULL;
		pthread_mutex_lock(&journal.lock);
		if (entry)
			must(journal.n_entries < ENTRIES_MAX, "fewer entries");
		if (entry)
			journal.entries[journal.n_entries++] = entry;
		else
			journal.n_marks++;
		pthread_cond_signal(&journal.arrived);
		pthread_mutex_unlock(&journal.lock);
	}
	return NULL;
}

bool fake_journal_start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
		return false;
	must(mkdir("/run/systemd", 0755) == 0 && mkdir("/run/systemd/journal", 0755) == 0, "mkdir");
	journal.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(journal.fd >= 0, "socket");
	must(bind(journal.fd, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	must(pthread_create(&journal.thread, NULL, receive, NULL) == 0, "thread");
	return true;
}

/* An empty datagram, behind all that was sent before. */
static void wait_for_all(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(sendto(fd, "", 0, 0, (struct sockaddr *)&address, sizeof(address)) == 0, "mark");
	close_fd(fd);
	pthread_mutex_lock(&journal.lock);
	journal.n_marks_sent++;
	while (journal.n_marks < journal.n_marks_sent)
		pthread_cond_wait(&journal.arrived, &journal.lock);
	pthread_mutex_unlock(&journal.lock);
}

static void forget(void)
{
	for (size_t i = 0; i < journal.n_entries; i++) {
		for (size_t j = 0; j < journal.entries[i]->n_fields; j++)
			free(journal.entries[i]->fields[j].value);
		free(journal.entries[i]);
	}
	journal.n_entries = 0;
}

void fake_journal_begin(const char *ident, int max_priority)
{
	char stream[64];
	struct stat st;

	wait_for_all();
	forget();
	must(fstat(2, &st) == 0, "fstat");
	snprintf(stream, sizeof(stream), "%lu:%lu", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(ident, max_priority);
}

void fake_journal_end(void)
{
	unsetenv("JOURNAL_STREAM");
	log_init("test", -1);
	wait_for_all();
	forget();
}

size_t fake_journal_count(void)
{
	wait_for_all();
	return journal.n_entries;
}

const struct journal_entry *fake_journal_entry(size_t index)
{
	return journal.entries[index];
}

const char *journal_value(const struct journal_entry *entry, const char *name, size_t index)
{
	for (size_t i = 0; i < entry->n_fields; i++)
		if (strcmp(entry->fields[i].name, name) == 0 && index-- == 0)
			return entry->fields[i].value;
	return NULL;
}

const struct journal_entry *fake_journal_only(const char *message_id)
{
	const struct journal_entry *found = NULL;
	size_t n = fake_journal_count();

	for (size_t i = 0; i < n; i++) {
		const char *id = journal_value(journal.entries[i], "MESSAGE_ID", 0);

		if (!id || strcmp(id, message_id) != 0)
			continue;
		if (found)
			return NULL;
		found = journal.entries[i];
	}
	return found;
}
