// SPDX-License-Identifier: GPL-2.0-only
/*
 * The iommufds that claims are for. A claim pins its iommufd, and with it the memory that a client mapped: one that nobody
 * else has any more must be let go. The kernel tells nobody when a file's count falls, so claim.c looks, a few times a
 * second.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "iommud.h"

#if IS_ENABLED(CONFIG_IOMMUFD) && defined(IOMMUD_HAVE_DEVICE_CLAIM)

#include <linux/iommufd.h>

#ifdef IOMMUD_NS_STRING
MODULE_IMPORT_NS("IOMMUFD");
#else
MODULE_IMPORT_NS(IOMMUFD);
#endif

static LIST_HEAD(contexts);

bool contexts_supported(void)
{
	return true;
}

struct context *context_get(int fd)
{
	struct file *file = fget(fd);
	struct iommufd_ctx *owner;
	struct context *context;

	if (!file)
		return ERR_PTR(-EBADF);
	owner = iommufd_ctx_from_file(file);
	if (IS_ERR(owner)) {
		fput(file);
		return ERR_PTR(-EBADF);
	}
	list_for_each_entry(context, &contexts, link)
	{
		if (context->owner != owner)
			continue;
		iommufd_ctx_put(owner);
		fput(file);
		context->n_claims++;
		return context;
	}
	context = kzalloc(sizeof(*context), GFP_KERNEL_ACCOUNT);
	if (!context) {
		iommufd_ctx_put(owner);
		fput(file);
		return ERR_PTR(-ENOMEM);
	}
	context->file = file;
	context->owner = owner;
	context->n_claims = 1;
	list_add_tail(&context->link, &contexts);
	return context;
}

void context_put(struct context *context)
{
	if (!context || --context->n_claims)
		return;
	list_del(&context->link);
	iommufd_ctx_put(context->owner);
	fput(context->file);
	kfree(context);
}

/* Two of the references are ours: the file's, and the one behind the context's. */
bool context_is_abandoned(const struct context *context)
{
	return file_count(context->file) <= 2;
}

#else

bool contexts_supported(void)
{
	return false;
}

struct context *context_get(int fd)
{
	return ERR_PTR(-EOPNOTSUPP);
}

void context_put(struct context *context)
{
}

bool context_is_abandoned(const struct context *context)
{
	return false;
}

#endif
