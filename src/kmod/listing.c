// SPDX-License-Identifier: GPL-2.0-only
/* /sys/kernel/debug/iommud/claims: one line a claim, for people. */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "iommud.h"

static struct dentry *folder;

static int claims_show(struct seq_file *out, void *unused)
{
	static const char *const states[] = {
		[CLAIM_OWNING] = "owning", [CLAIM_DENYING] = "denying", [CLAIM_ENDED] = "ended"
	};
	const struct member *member;
	const struct claim *claim;

	seq_puts(out, "group device state flags pid context label members\n");
	mutex_lock(&claims_lock);
	list_for_each_entry(claim, &claims, link)
	{
		seq_printf(out, "%d %s %s %s %d %s %s", iommu_group_id(claim->group), claim->device,
			   states[claim->state], claim->flags & IOMMUD_CLAIM_SINGLETON ? "singleton" : "-", claim->pid,
			   claim->context ? "iommufd" : "-", claim->label ?: "-");
		list_for_each_entry(member, &claim->members, link) seq_printf(out, " %s", dev_name(member->dev));
		seq_putc(out, '\n');
	}
	mutex_unlock(&claims_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(claims);

/* Whoever has no debugfs has no listing. */
void listing_init(void)
{
	folder = debugfs_create_dir("iommud", NULL);
	debugfs_create_file("claims", 0400, folder, NULL, &claims_fops);
}

void listing_exit(void)
{
	debugfs_remove_recursive(folder);
}
