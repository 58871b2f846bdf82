# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: selinux
# root: debian
# timeout: 120
#
# The kernel module compares what SELinux has as the contexts of nodes that really are labelled: a claim of a group whose
# nodes have one is admitted, of one whose nodes differ refused. Two devices of one group, two labels: the kernel refuses.

system=system_u:object_r:vfio_device_t
modprobe vfio-pci
modprobe iommud
defer rmmod iommud
bind_driver "$MF_NIC" vfio-pci
bind_driver "$MF_EDU" vfio-pci
unbind_driver "$MF_NVME"
udev_settle
group=/dev/vfio/$(group_of "$MF_NIC")
nic=/dev/vfio/devices/$(ls "/sys/bus/pci/devices/$MF_NIC/vfio-dev")
edu=/dev/vfio/devices/$(ls "/sys/bus/pci/devices/$MF_EDU/vfio-dev")

claim()
{
	kmod-nodes "$MF_NIC" "$@"
}

chcon "$system:s0" "$group" "$nic" "$edu"
assert_eq claimed "$(claim "$nic" "$edu" "$group")" "nodes of one context"
chcon "$system:s0:c1,c2" "$nic" "$edu" "$group"
assert_eq claimed "$(claim "$nic" "$edu" "$group")" "nodes of one context, another than before"
assert_eq claimed "$(claim "$nic")" "one node"

chcon "$system:s0:c1,c3" "$edu"
assert_eq 'refused: EXDEV' "$(claim "$nic" "$edu")" "two devices of a group, two labels"
assert_eq 'refused: EXDEV' "$(claim "$nic" "$group" "$edu")" "the same, with the group's node"
assert_eq claimed "$(claim "$nic" "$group")" "those that agree"
chcon "$system:s0:c1,c2" "$edu"
chcon -t device_t "$group"
assert_eq 'refused: EXDEV' "$(claim "$nic" "$edu" "$group")" "the group's node has another type"
assert_eq 1 "$(wc -l </sys/kernel/debug/iommud/claims)" "lines of the listing: no claim is left"
