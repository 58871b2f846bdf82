# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: oldest
# root: debian
# timeout: 300
#
# The kernel module on Linux 6.1: INFO tells what is missing there, which is what needs an iommufd; all else keeps its promises,
# although that kernel knows owners of groups only.

listing=/sys/kernel/debug/iommud/claims

assert_eq 6.1 "$(uname -r | cut -d. -f1-2)" "the kernel"
systemctl stop iommud.service iommud.socket iommud-helper.service iommud-helper.socket
modprobe -a vfio-pci pci-stub managed-dma iommud
[[ ! -e /dev/iommu ]]

cases=$(kmod-cases)
echo "$cases"
assert_eq "abi 1: park denial singleton labels node-labels" "$(head -n 1 <<<"$cases")" "what INFO tells"
assert_eq "only_its_context_gets_the_device parked_means_nobody denies_without_owning a_group_has_one_label \
lets_go_of_an_iommufd_that_nobody_has given_back_it_is_nobodys_until_unbound given_back_and_idle_it_is_parked_at_once" \
	"$(sed -n 's/^left out: //p' <<<"$cases" | xargs)" "left out"
assert_eq 1 "$(wc -l <$listing)" "lines of the listing: a claim is left"

# Calls without sense, from two processes at once; a warning of the kernel ends the machine.
processes=()
for seed in 1 2; do
	kmod-fuzz "$seed" 10000 "$EDU" "$MF_EDU" "$NVME" "$NIC" 0000:00:00.0 >"$state/fuzz.$seed" &
	processes+=($!)
done
for process in "${processes[@]}"; do
	wait "$process"
done
cat "$state"/fuzz.*
assert_eq 1 "$(wc -l <$listing)" "lines of the listing: a claim is left"
rmmod iommud
rmmod managed-dma
