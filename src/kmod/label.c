// SPDX-License-Identifier: GPL-2.0-only
/* Security contexts of nodes, as the LSM has them: all of a claim's must be one. */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iommud.h"

#ifdef IOMMUD_HAVE_LSM_CONTEXT

static int read_context(struct inode *inode, char **ret, u32 *ret_size)
{
	struct lsm_context context;
	int r = security_inode_getsecctx(inode, &context);

	if (r)
		return r;
	*ret = kmemdup(context.context, context.len, GFP_KERNEL_ACCOUNT);
	*ret_size = context.len;
	security_release_secctx(&context);
	return *ret ? 0 : -ENOMEM;
}

#else

static int read_context(struct inode *inode, char **ret, u32 *ret_size)
{
	void *context;
	u32 size;
	int r = security_inode_getsecctx(inode, &context, &size);

	if (r)
		return r;
	*ret = kmemdup(context, size, GFP_KERNEL_ACCOUNT);
	*ret_size = size;
	security_release_secctx(context, size);
	return *ret ? 0 : -ENOMEM;
}

#endif

bool nodes_supported(void)
{
	return IS_ENABLED(CONFIG_SECURITY);
}

static int node_context(int fd, char **ret, u32 *ret_size)
{
	struct file *file = fget(fd);
	int r;

	if (!file)
		return -EBADF;
	r = read_context(file_inode(file), ret, ret_size);
	fput(file);
	return r;
}

int nodes_check(const s32 __user *fds, u32 n)
{
	char *first = NULL;
	u32 first_size = 0;
	int r = 0;
	u32 i;

	for (i = 0; i < n && !r; i++) {
		char *context = NULL;
		u32 size = 0;
		s32 fd;

		if (get_user(fd, fds + i)) {
			r = -EFAULT;
			break;
		}
		r = node_context(fd, &context, &size);
		if (!r && !first) {
			swap(first, context);
			first_size = size;
		} else if (!r && (size != first_size || memcmp(first, context, size))) {
			r = -EXDEV;
		}
		kfree(context);
	}
	kfree(first);
	return r;
}
