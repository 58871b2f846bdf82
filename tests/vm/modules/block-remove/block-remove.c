// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver for the test VM whose remove() does not come back: it sleeps in D state, as drivers do that wait for hardware or
 * for a file to be closed, until somebody writes N to /sys/module/block_remove/parameters/blocking. It has no ids: a device
 * is bound to it by driver_override. Below each device is a character device, /dev/block-remove-ADDRESS, that processes can
 * hold open. Like real drivers it takes the node away before it waits.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/wait.h>

struct node {
	struct miscdevice misc;
	char name[32];
};

static DECLARE_WAIT_QUEUE_HEAD(unblocked);
static bool blocking = true;

static int set_blocking(const char *text, const struct kernel_param *param)
{
	int r = param_set_bool(text, param);

	wake_up_all(&unblocked);
	return r;
}

static const struct kernel_param_ops blocking_ops = {
	.set = set_blocking,
	.get = param_get_bool,
};
module_param_cb(blocking, &blocking_ops, &blocking, 0644);
MODULE_PARM_DESC(blocking, "remove() waits as long as this is Y");

static const struct file_operations node_fops = {
	.owner = THIS_MODULE,
	.llseek = noop_llseek,
};

static int block_remove_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct node *node = kzalloc(sizeof(*node), GFP_KERNEL);
	int r;

	if (!node)
		return -ENOMEM;
	snprintf(node->name, sizeof(node->name), "block-remove-%s", pci_name(pdev));
	node->misc.minor = MISC_DYNAMIC_MINOR;
	node->misc.name = node->name;
	node->misc.fops = &node_fops;
	node->misc.parent = &pdev->dev;
	r = misc_register(&node->misc);
	if (r) {
		kfree(node);
		return r;
	}
	pci_set_drvdata(pdev, node);
	return 0;
}

static void block_remove_remove(struct pci_dev *pdev)
{
	struct node *node = pci_get_drvdata(pdev);

	misc_deregister(&node->misc);
	kfree(node);
	if (!READ_ONCE(blocking))
		return;
	/* The text is what tests wait for. */
	pci_info(pdev, "remove() waits\n");
	/* Wakes up now and then, or the kernel would report a hung task. */
	while (!wait_event_timeout(unblocked, !READ_ONCE(blocking), 30 * HZ))
		;
	pci_info(pdev, "remove() goes on\n");
}

static struct pci_driver block_remove_driver = {
	.name = "block-remove",
	.probe = block_remove_probe,
	.remove = block_remove_remove,
};
module_pci_driver(block_remove_driver);

MODULE_DESCRIPTION("Test driver whose remove() blocks");
MODULE_LICENSE("GPL");
