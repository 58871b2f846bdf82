# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# Two devices of one group never have two labels: the daemon refuses the second one, and so does the kernel whoever asks it
# past the daemon. When the first lease is over the group is anybody's again, for both.

. /payload/guest/iommud.sh
start_iommud
rule()
{
	printf '[Match]\nAddress=0000:00:07.*\n[Client]\nUser=%s\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=%s\n' "$@"
}
{
	rule alice tenant-a
	rule bob tenant-b
} | set_policy 50-labels
unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle
assert_contains "$(iommuctl status)" "Kernel module: in use"

hold alice alice iommuctl run --yes --backend=iommufd "$MF_EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held alice holding >/dev/null
assert_contains "$(</sys/kernel/debug/iommud/claims)" "$MF_EDU"

# The daemon, asked for another function of the slot.
status=0
error=$(as bob iommuctl acquire --yes "$MF_NIC" 2>&1 </dev/null) || status=$?
assert_eq 4 "$status" "exit status of who comes with another label"
assert_contains "$error" tenant-a
assert_contains "$error" tenant-b
token=$(iommuctl explain --json=short --as=alice "$MF_NIC" | sed -n 's/.*"token":"\([0-9a-f]*\)".*/\1/p')
error=$(expect_fail as bob varlinkctl -j call /run/iommud/io.iommud io.iommud.Acquire \
	"{\"devices\":[\"$MF_NIC\"],\"consent\":\"$token\"}" 2>&1)
assert_contains "$error" io.iommud.LabelMismatch
assert_contains "$error" '"label":"tenant-a","otherLabel":"tenant-b"'

# The kernel, asked by root, for either function; by the same label it is only the DMA that is taken.
for address in "$MF_NIC" "$MF_EDU"; do
	assert_eq EXDEV "$(kmod-claim "$address" tenant-b 2>&1 </dev/null || true)" "a claim of $address by another label"
	assert_eq EXDEV "$(kmod-claim "$address" 2>&1 </dev/null || true)" "a claim of $address without a label"
	assert_eq EPERM "$(kmod-claim "$address" tenant-a 2>&1 </dev/null || true)" "a claim of $address by the same label"
done
assert_driver "$MF_EDU" vfio-pci

let_go alice
wait_idle
assert_eq claimed "$(kmod-claim "$MF_NIC" tenant-b </dev/null)" "a claim afterwards"
hold_lease bob bob --yes --backend=iommufd "$MF_NIC"
assert_eq EXDEV "$(kmod-claim "$MF_EDU" tenant-a 2>&1 </dev/null || true)" "a claim by the former label"
let_go bob
wait_idle
