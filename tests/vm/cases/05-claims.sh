# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# With the kernel module what is leased is claimed before it goes out: no host driver comes to a member, no other iommufd gets
# the device, who joins gets no driver, and after the lease nobody can begin to use what is still out. iommud says so.

. /payload/guest/iommud.sh
start_iommud

claims()
{
	tail -n +2 /sys/kernel/debug/iommud/claims
}

no_claim_is_left()
{
	assert_eq '' "$(claims)" "claims"
}

bind_refused()
{
	expect_fail bash -c "echo $1 >/sys/bus/pci/drivers/$2/bind" 2>/dev/null
	assert_driver "$1" none
}

assert_contains "$(iommuctl status)" "Kernel module: in use (KernelModule=prefer)"
assert_eq "crw-rw---- root iommud" "$(stat -c '%A %U %G' /dev/iommud)" "mode of the node"
set_policy 50-slot <<END
[Match]
Address=0000:00:07.* 0000:02:00.0
[Client]
User=bob carol
[Grant]
Action=allow
GroupScope=whole
Label=tenant

[Match]
Address=$EDU
[Client]
User=bob
[Grant]
Action=allow
END
unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle
watch_events

# The claim is there when the descriptors are, and the daemon's.
hold_lease bob bob --yes --backend=iommufd "$MF_EDU"
assert_contains "$(claims)" "$MF_EDU"
assert_contains "$(claims)" "$(main_pid iommud)"
assert_eq 1 "$(claims | wc -l)" "claims"
# Nothing is bound to the iommufd yet: without the claim the host's driver would come.
bind_refused "$MF_NIC" e1000
bind_refused "$MF_NVME" nvme
# Another label: the kernel refuses it, too.
assert_contains "$(expect_fail kmod-claim "$MF_EDU" another 2>&1)" EXDEV
assert_contains "$(iommuctl explain --as bob "$MF_EDU")" "to the iommufd that is handed out, and to nothing else"

# Who joins gets no driver, and is dealt with as the rule says: parked.
echo 1 >"/sys/bus/pci/devices/$MF_NIC/remove"
wait_event '"deviceRemoved"*'"$MF_NIC" >/dev/null
echo 1 >/sys/bus/pci/rescan
wait_event '"lateJoiner"*'"$MF_NIC" >/dev/null
wait_event '"memberParked"*'"$MF_NIC"'*had no driver' >/dev/null
assert_driver "$MF_NIC" pci-stub
let_go bob
wait_idle
no_claim_is_left
assert_driver "$MF_EDU" none
# What would have come to it comes now.
assert_driver "$MF_NIC" e1000
assert_eq none "$(override_of "$MF_NIC")" "override"
move_device "$MF_NIC" none
unwatch_events

# A container takes the DMA itself; the kernel keeps drivers off all the same.
watch_events
hold bob bob iommuctl run --yes --backend=legacy "$MF_EDU" -- edu-dma --hold --container '{container}' \
	--group '{group}' --device '{device}'
wait_held bob holding >/dev/null
assert_contains "$(claims)" "$MF_EDU"
bind_refused "$MF_NIC" e1000
let_go bob
wait_idle
no_claim_is_left

# A device of its own, with a singleton's lock: removed and found again under the claim, it has no driver.
hold bob bob iommuctl run --backend=iommufd "$EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held bob holding >/dev/null
assert_contains "$(claims)" singleton
let_go bob
wait_idle
no_claim_is_left

# What was on vfio stays there between two leases of one user, and claimed: nobody else can begin to use it.
bind_driver "$NVME" vfio-pci
udev_settle
before=$(stat -c %i "/sys/bus/pci/devices/$NVME/vfio-dev/"*)
as bob iommuctl run --backend=iommufd "$NVME" -- vfio-io --device '{device}' --iommu '{iommu}' >/dev/null
wait_idle
after=$(stat -c %i "/sys/bus/pci/devices/$NVME/vfio-dev/"*)
assert_contains "$(claims)" "$NVME"
assert_contains "$(expect_fail kmod-claim "$NVME" tenant 2>&1)" EPERM
as bob iommuctl run --backend=iommufd "$NVME" -- vfio-io --device '{device}' --iommu '{iommu}' >/dev/null
wait_idle
# The first lease of all resets it, which takes an unbind; the second does not.
assert_eq "$after" "$(stat -c %i "/sys/bus/pci/devices/$NVME/vfio-dev/"*)" "the node's inode in sysfs"
note "inode before the first lease $before, after it $after"
# Who wants it for the host gets it at once; the broker, which has answered a call since, has noticed.
unbind_driver "$NVME"
iommuctl status >/dev/null
iommuctl status >/dev/null
no_claim_is_left
