/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Frames out of a stream: a frame ends with a NUL. The buffer starts small, for most messages are, grows to one frame, and
 * is freed when it is empty, so that an idle client costs nothing. Each byte is searched for a NUL once.
 */
#include "varlink/inbox.h"

#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "varlink/server.h"
#include "varlink/wire.h"

#define CAPACITY_MIN 1024
#define CAPACITY_MAX (VARLINK_FRAME_MAX + 1)

static int inbox_make_room(struct varlink_inbox *inbox)
{
	size_t capacity = inbox->capacity ? inbox->capacity * 4 : CAPACITY_MIN;
	char *data;

	if (inbox->size < inbox->capacity)
		return 0;
	if (capacity > CAPACITY_MAX)
		capacity = CAPACITY_MAX;
	if (inbox->size >= capacity)
		return -ENOBUFS;
	data = realloc(inbox->data, capacity);
	if (!data)
		return -ENOMEM;
	inbox->data = data;
	inbox->capacity = capacity;
	return 0;
}

static void inbox_scan(struct varlink_inbox *inbox)
{
	const char *nul = memchr(inbox->data + inbox->scanned, '\0', inbox->size - inbox->scanned);

	inbox->scanned = nul ? (size_t)(nul - inbox->data) : inbox->size;
}

/*
 * The kernel ends a read behind the packet that has descriptors, but not before it: they belong to the last frame of what
 * was read, given that a client sends one frame at a time.
 */
static void inbox_count_fds(struct varlink_inbox *inbox, const struct wire_fds *fds)
{
	/* Of those that were cut off we only know that there was one at least. */
	size_t n = fds->n + fds->truncated;
	const char *nul = memrchr(inbox->data, '\0', inbox->size - 1);

	if (nul) {
		inbox->tail_fds = n;
		inbox->tail_start = nul + 1 - inbox->data;
	} else {
		inbox->n_fds += n;
	}
}

ssize_t varlink_inbox_receive(struct varlink_inbox *inbox, int fd, struct wire_fds *ret_fds)
{
	ssize_t n;
	int r = inbox_make_room(inbox);

	if (r < 0) {
		ret_fds->n = 0;
		return r;
	}
	n = wire_receive(fd, inbox->data + inbox->size, inbox->capacity - inbox->size, ret_fds);
	if (n <= 0) {
		if (inbox->size == 0)
			varlink_inbox_clear(inbox);
		return n;
	}
	inbox->size += n;
	if (ret_fds->n > 0 || ret_fds->truncated)
		inbox_count_fds(inbox, ret_fds);
	inbox_scan(inbox);
	return n;
}

bool varlink_inbox_has_frame(const struct varlink_inbox *inbox)
{
	return inbox->scanned < inbox->size;
}

bool varlink_inbox_is_overfull(const struct varlink_inbox *inbox)
{
	return inbox->scanned > VARLINK_FRAME_MAX;
}

void varlink_inbox_drop_frame(struct varlink_inbox *inbox)
{
	size_t used = inbox->scanned + 1;

	if (used >= inbox->size) {
		varlink_inbox_clear(inbox);
		return;
	}
	inbox->size -= used;
	memmove(inbox->data, inbox->data + used, inbox->size);
	inbox->scanned = 0;
	inbox->n_fds = inbox->tail_start == used ? inbox->tail_fds : 0;
	inbox->tail_start = inbox->tail_start > used ? inbox->tail_start - used : 0;
	inbox_scan(inbox);
}

void varlink_inbox_clear(struct varlink_inbox *inbox)
{
	free(inbox->data);
	*inbox = (struct varlink_inbox){ 0 };
}
