// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iommud: a table of calls, each of which copies its structure in by the caller's size, and out again. Who may open it
 * is said by the node's mode.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#define CREATE_TRACE_POINTS
#include "iommud.h"
#include "trace.h"

union request {
	struct iommud_info info;
	struct iommud_claim claim;
	struct iommud_query query;
	struct iommud_events events;
};

static long run_info(union request *request)
{
	struct iommud_info *info = &request->info;

	if (info->flags)
		return -EINVAL;
	info->abi_version = IOMMUD_ABI_VERSION;
	info->event_size = sizeof(struct iommud_event);
	info->features = IOMMUD_FEATURE_PARK | IOMMUD_FEATURE_DENIAL | IOMMUD_FEATURE_SINGLETON | IOMMUD_FEATURE_LABELS;
	if (contexts_supported())
		info->features |= IOMMUD_FEATURE_IOMMUFD;
	if (nodes_supported())
		info->features |= IOMMUD_FEATURE_NODE_LABELS;
	return 0;
}

static bool is_text(const char *text, size_t size)
{
	return *text && strnlen(text, size) < size;
}

static long run_claim(union request *request)
{
	if (!is_text(request->claim.bus, IOMMUD_BUS_MAX) || !is_text(request->claim.device, IOMMUD_DEVICE_MAX))
		return -EINVAL;
	return claim_open(&request->claim);
}

static long run_query(union request *request)
{
	if (request->query.flags || request->query.reserved || request->query.group || request->query.group_flags ||
	    !is_text(request->query.bus, IOMMUD_BUS_MAX) || !is_text(request->query.device, IOMMUD_DEVICE_MAX))
		return -EINVAL;
	return query(&request->query);
}

static long run_events(union request *request)
{
	return request->events.flags ? -EINVAL : listener_open();
}

static const struct {
	long (*run)(union request *request);
	size_t size; /* of the structure; all are as large as they were at first */
	bool answers; /* in the structure */
} calls[] = {
	[_IOC_NR(IOMMUD_IOC_INFO)] = { run_info, sizeof(struct iommud_info), true },
	[_IOC_NR(IOMMUD_IOC_CLAIM)] = { run_claim, sizeof(struct iommud_claim), false },
	[_IOC_NR(IOMMUD_IOC_QUERY)] = { run_query, sizeof(struct iommud_query), true },
	[_IOC_NR(IOMMUD_IOC_EVENTS)] = { run_events, sizeof(struct iommud_events), false },
};

static long iommud_ioctl(struct file *file, unsigned int command, unsigned long arg)
{
	unsigned int number = _IOC_NR(command);
	void __user *user = (void __user *)arg;
	union request request;
	u32 size;
	long r;

	if (number >= ARRAY_SIZE(calls) || command != _IO(IOMMUD_IOC_TYPE, number))
		return -ENOTTY;
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < calls[number].size)
		return -EINVAL;
	r = copy_struct_from_user(&request, calls[number].size, user, size);
	if (r)
		return r;
	r = calls[number].run(&request);
	if (r >= 0 && calls[number].answers && copy_to_user(user, &request, calls[number].size))
		r = -EFAULT;
	return r;
}

static const struct file_operations iommud_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = iommud_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice iommud_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "iommud",
	.fops = &iommud_fops,
	.mode = 0600,
};

static int __init iommud_init(void)
{
	int r = guard_init();

	if (r)
		return r;
	r = misc_register(&iommud_device);
	if (r) {
		guard_exit();
		return r;
	}
	listing_init();
	return 0;
}

static void __exit iommud_exit(void)
{
	listing_exit();
	misc_deregister(&iommud_device);
	claims_exit();
	guard_exit();
}

module_init(iommud_init);
module_exit(iommud_exit);

MODULE_DESCRIPTION("Ownership of IOMMU groups, enforced");
MODULE_AUTHOR("the iommud project");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
