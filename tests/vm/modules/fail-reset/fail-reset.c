// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sees each reset that somebody asks for by a device's file `reset` in sysfs, and makes those of one device fail:
 * pci_reset_function() is called for nothing else. VFIO's own resets go another way, and are left alone. The reset takes
 * place all the same; only what is said of it is another thing.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/pci.h>

static char device[32];
module_param_string(device, device, sizeof(device), 0644);
MODULE_PARM_DESC(device, "address of the device whose resets fail; empty: none");

static int error = EIO;
module_param(error, int, 0644);
MODULE_PARM_DESC(error, "the errno that they fail with");

struct call {
	struct pci_dev *pdev;
};

static int reset_begins(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	struct call *call = (struct call *)instance->data;

	call->pdev = (struct pci_dev *)regs_get_kernel_argument(regs, 0);
	return 0;
}

static int reset_returns(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	const struct call *call = (struct call *)instance->data;

	if (device[0] && sysfs_streq(pci_name(call->pdev), device))
		regs_set_return_value(regs, -error);
	/* The text is what tests look for. */
	pr_info("fail-reset: %s: reset returns %ld\n", pci_name(call->pdev), (long)(int)regs_return_value(regs));
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "pci_reset_function",
	.entry_handler = reset_begins,
	.handler = reset_returns,
	.data_size = sizeof(struct call),
};

static int __init fail_reset_init(void)
{
	return register_kretprobe(&probe);
}
module_init(fail_reset_init);

static void __exit fail_reset_exit(void)
{
	unregister_kretprobe(&probe);
}
module_exit(fail_reset_exit);

MODULE_DESCRIPTION("Test module that sees resets, and makes some fail");
MODULE_LICENSE("GPL");
