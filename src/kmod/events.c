// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: a ring of records for each claim and for each listener. A ring that is full loses the new record and says later how
 * many it lost, in their place; so a reader never takes silence for peace.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommud.h"

struct listener {
	struct list_head link;
	struct event_ring ring;
};

static LIST_HEAD(listeners);
static DEFINE_SPINLOCK(listeners_lock);

void ring_init(struct event_ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	mutex_init(&ring->reading);
	spin_lock_init(&ring->lock);
	init_waitqueue_head(&ring->readers);
}

static void ring_append(struct event_ring *ring, const struct iommud_event *event)
{
	struct iommud_event *record = &ring->records[(ring->first + ring->n++) % RING_RECORDS];

	*record = *event;
	record->sequence = ++ring->sequence;
}

void ring_add(struct event_ring *ring, const struct iommud_event *event)
{
	struct iommud_event overflow = { .type = IOMMUD_EVENT_OVERFLOW };

	spin_lock(&ring->lock);
	/* Room for both: what was lost is told first, so that it is in its place. */
	if (ring->n + (ring->lost ? 2 : 1) > RING_RECORDS) {
		ring->lost++;
	} else {
		if (ring->lost) {
			overflow.count = ring->lost;
			ring->lost = 0;
			ring_append(ring, &overflow);
		}
		ring_append(ring, event);
	}
	spin_unlock(&ring->lock);
	wake_up_interruptible(&ring->readers);
}

/*
 * The oldest record, which stays until it is dropped. When the last record was read, what was lost since is a record of its
 * own.
 */
static bool ring_peek(struct event_ring *ring, struct iommud_event *ret)
{
	struct iommud_event overflow = { .type = IOMMUD_EVENT_OVERFLOW };
	bool found;

	spin_lock(&ring->lock);
	if (!ring->n && ring->lost) {
		overflow.count = ring->lost;
		ring->lost = 0;
		ring_append(ring, &overflow);
	}
	found = ring->n > 0;
	if (found)
		*ret = ring->records[ring->first];
	spin_unlock(&ring->lock);
	return found;
}

static void ring_drop(struct event_ring *ring)
{
	spin_lock(&ring->lock);
	ring->first = (ring->first + 1) % RING_RECORDS;
	ring->n--;
	spin_unlock(&ring->lock);
}

/* A record that the reader has no memory for stays. 0: there is none. */
static ssize_t ring_copy(struct event_ring *ring, char __user *buffer, size_t size)
{
	struct iommud_event event;
	size_t done = 0;
	int r = 0;

	mutex_lock(&ring->reading);
	while (size - done >= sizeof(event) && ring_peek(ring, &event)) {
		if (copy_to_user(buffer + done, &event, sizeof(event))) {
			r = -EFAULT;
			break;
		}
		ring_drop(ring);
		done += sizeof(event);
	}
	mutex_unlock(&ring->reading);
	return done ?: r;
}

static bool ring_has_some(const struct event_ring *ring)
{
	return READ_ONCE(ring->n) || READ_ONCE(ring->lost);
}

ssize_t ring_read(struct event_ring *ring, char __user *buffer, size_t size, bool nonblock, const bool *ended)
{
	ssize_t done;
	bool over;
	int r;

	if (size < sizeof(struct iommud_event))
		return -EINVAL;
	for (;;) {
		over = ended && READ_ONCE(*ended); /* before the last look: the record that says so comes first */
		done = ring_copy(ring, buffer, size);
		if (done || over)
			return done;
		if (nonblock)
			return -EAGAIN;
		r = wait_event_interruptible(ring->readers, ring_has_some(ring) || (ended && READ_ONCE(*ended)));
		if (r)
			return r;
	}
}

__poll_t ring_poll(struct event_ring *ring, struct file *file, poll_table *table)
{
	poll_wait(file, &ring->readers, table);
	return ring_has_some(ring) ? EPOLLIN | EPOLLRDNORM : 0;
}

void listeners_tell(const struct iommud_event *event)
{
	struct listener *listener;

	spin_lock(&listeners_lock);
	list_for_each_entry(listener, &listeners, link) ring_add(&listener->ring, event);
	spin_unlock(&listeners_lock);
}

static ssize_t listener_read(struct file *file, char __user *buffer, size_t size, loff_t *offset)
{
	struct listener *listener = file->private_data;

	return ring_read(&listener->ring, buffer, size, file->f_flags & O_NONBLOCK, NULL);
}

static __poll_t listener_poll(struct file *file, poll_table *table)
{
	struct listener *listener = file->private_data;

	return ring_poll(&listener->ring, file, table);
}

static int listener_release(struct inode *inode, struct file *file)
{
	struct listener *listener = file->private_data;

	spin_lock(&listeners_lock);
	list_del(&listener->link);
	spin_unlock(&listeners_lock);
	kfree(listener);
	return 0;
}

static const struct file_operations listener_fops = {
	.owner = THIS_MODULE,
	.read = listener_read,
	.poll = listener_poll,
	.release = listener_release,
	.llseek = noop_llseek,
};

int listener_open(void)
{
	struct listener *listener = kzalloc(sizeof(*listener), GFP_KERNEL_ACCOUNT);
	int fd;

	if (!listener)
		return -ENOMEM;
	ring_init(&listener->ring);
	spin_lock(&listeners_lock);
	list_add_tail(&listener->link, &listeners);
	spin_unlock(&listeners_lock);
	fd = anon_inode_getfd("[iommud-events]", &listener_fops, listener, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		spin_lock(&listeners_lock);
		list_del(&listener->link);
		spin_unlock(&listeners_lock);
		kfree(listener);
	}
	return fd;
}
