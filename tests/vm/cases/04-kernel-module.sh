# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# What the kernel module promises, by its own calls, and without the daemon; then calls without sense, from six processes at
# once (a warning of the kernel ends the machine). It can't be unloaded while a descriptor is open.

listing=/sys/kernel/debug/iommud/claims

no_claim_is_left()
{
	[[ $(wc -l <$listing) -eq 1 ]] || fail "a claim is left: $(cat $listing)"
}

systemctl stop iommud.service iommud.socket iommud-helper.service iommud-helper.socket
modprobe vfio-pci
modprobe pci-stub
modprobe managed-dma
modprobe iommud
kmod-cases
no_claim_is_left

bind_driver "$EDU" vfio-pci
exec {node}<>/dev/iommud
expect_fail rmmod iommud
exec {node}>&-

processes=()
for seed in 1 2 3 4 5 6; do
	kmod-fuzz "$seed" 20000 "$EDU" "$MF_EDU" "$NVME" "$NIC" 0000:00:00.0 >"$state/fuzz.$seed" &
	processes+=($!)
done
for process in "${processes[@]}"; do
	wait "$process"
done
cat "$state"/fuzz.*
# What they left on their way out is undone: the kernel's work items are through when they can be unloaded.
no_claim_is_left
rmmod iommud
rmmod managed-dma
