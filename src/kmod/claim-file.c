// SPDX-License-Identifier: GPL-2.0-only
/* The descriptor of a claim: its events, and the calls by which it is handed off and given back. The last close ends it. */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "iommud.h"
#include "trace.h"

static ssize_t claim_read(struct file *file, char __user *buffer, size_t size, loff_t *offset)
{
	struct claim *claim = file->private_data;

	return ring_read(&claim->ring, buffer, size, file->f_flags & O_NONBLOCK, &claim->ended);
}

static __poll_t claim_poll(struct file *file, poll_table *table)
{
	struct claim *claim = file->private_data;

	return ring_poll(&claim->ring, file, table) | (READ_ONCE(claim->ended) ? EPOLLHUP | EPOLLIN : 0);
}

static int claim_release(struct inode *inode, struct file *file)
{
	struct claim *claim = file->private_data;

	mutex_lock(&claims_lock);
	list_del(&claim->link);
	trace_iommud_release(iommu_group_id(claim->group), claim->device);
	claim_free(claim);
	mutex_unlock(&claims_lock);
	return 0;
}

/* Both calls on a claim have the same structure, without anything but flags that are to be 0. */
static int check_argument(unsigned long arg)
{
	struct iommud_handoff request;
	u32 size;
	int r;

	static_assert(sizeof(struct iommud_handoff) == sizeof(struct iommud_give_back));
	if (get_user(size, (u32 __user *)arg))
		return -EFAULT;
	if (size < sizeof(request))
		return -EINVAL;
	r = copy_struct_from_user(&request, sizeof(request), (void __user *)arg, size);
	if (r)
		return r;
	return request.flags ? -EINVAL : 0;
}

static int claim_hand_off(struct claim *claim)
{
	if (claim->state == CLAIM_OWNING)
		claim_release_dma(claim);
	claim->state = CLAIM_DENYING;
	return 0;
}

static int claim_give_back(struct claim *claim)
{
	if (claim->given_back)
		return -EALREADY;
	claim->given_back = true;
	claim->flags &= ~IOMMUD_CLAIM_SINGLETON;
	if (!claim_has_vfio(claim)) {
		claim_end(claim, IOMMUD_EVENT_LET_GO);
		return 0;
	}
	/* What is not blocked now is when the iommufd is abandoned. */
	return (!claim->context || context_is_abandoned(claim->context)) && claim_park(claim);
}

static long claim_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	struct claim *claim = file->private_data;
	int r;

	if (command != IOMMUD_IOC_HANDOFF && command != IOMMUD_IOC_GIVE_BACK)
		return -ENOTTY;
	r = check_argument(arg);
	if (r)
		return r;
	mutex_lock(&claims_lock);
	if (claim->state == CLAIM_ENDED)
		r = -ENODEV;
	else
		r = command == IOMMUD_IOC_HANDOFF ? claim_hand_off(claim) : claim_give_back(claim);
	mutex_unlock(&claims_lock);
	return r;
}

const struct file_operations claim_fops = {
	.owner = THIS_MODULE,
	.read = claim_read,
	.poll = claim_poll,
	.unlocked_ioctl = claim_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = claim_release,
	.llseek = noop_llseek,
};
