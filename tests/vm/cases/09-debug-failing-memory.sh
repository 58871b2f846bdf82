# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: tiny
# kernel: debug
# timeout: 400
#
# Each allocation of each call of the module fails once, and of what it does when drivers and devices come and go.

. /payload/guest/debug-kernel.sh

# range_of SYMBOL: its begin, and that of what comes behind it
range_of()
{
	sort /proc/kallsyms | awk -v name="$1" 'found { print begin, "0x" $1; exit } $3 == name { begin = "0x" $1; found = 1 }'
}

modprobe managed-dma
modprobe iommud

# Only allocations below the module's code fail, and of the kernel's functions not the one that has to give a domain back: it
# allocates, and has no way to fail.
text=$(</sys/module/iommud/sections/.text)
read -r begin end < <(range_of __iommu_release_dma_ownership)
for kind in failslab fail_page_alloc; do
	echo N >$debugfs/$kind/ignore-gfp-wait
	echo 0 >$debugfs/$kind/verbose
	echo "$text" >$debugfs/$kind/require-start
	printf '%#x\n' $((text + $(</sys/module/iommud/coresize))) >$debugfs/$kind/require-end
	echo "$begin" >$debugfs/$kind/reject-start
	echo "$end" >$debugfs/$kind/reject-end
done
echo 0 >$debugfs/fail_page_alloc/min-order

leaks_begin
kmod-failing | tee "$state/points"
note "$(<"$state/points")"
no_claim_is_left
nothing_leaked
rmmod iommud
rmmod managed-dma
locks_are_proved
