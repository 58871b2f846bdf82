# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: oldest
# root: debian
# timeout: 240
#
# iommud on Linux 6.1, where there is no iommufd and no SO_PEERPIDFD: leases are of the backend legacy, without being asked for
# it; the module claims their groups and keeps drivers off, and all of it comes back. Explain says what is kept by whom.

. /payload/guest/iommud.sh
start_iommud

claims()
{
	tail -n +2 /sys/kernel/debug/iommud/claims
}

assert_eq 6.1 "$(uname -r | cut -d. -f1-2)" "the kernel"
assert_contains "$(iommuctl status)" "Kernel module: in use (KernelModule=prefer)"
set_policy 50-slot <<END
[Match]
Address=0000:00:07.*
[Client]
User=bob
[Grant]
Action=allow
GroupScope=whole
END
unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle
explained=$(iommuctl explain --as bob "$MF_EDU")
assert_contains "$explained" "the group is in one container, which is the client's alone"
assert_contains "$explained" "a device that joins the group gets no host driver (iommud.ko)"
[[ $explained != *iommufd* ]] || fail "an iommufd is promised: $explained"
assert_contains "$(expect_fail as bob iommuctl run --yes --backend=iommufd "$MF_EDU" -- true 2>&1)" iommufd

hold bob bob iommuctl run --yes "$MF_EDU" -- \
	edu-dma --hold --container '{container}' --group '{group}' --device '{device}' --address "$MF_EDU"
wait_held bob holding >/dev/null
assert_contains "$(claims)" "$MF_EDU"
expect_fail bash -c "echo $MF_NIC >/sys/bus/pci/drivers/e1000/bind" 2>/dev/null
assert_driver "$MF_NIC" none
let_go bob
wait_idle
assert_eq '' "$(claims)" "claims"
assert_driver "$MF_EDU" none

# A client that is killed leaves nothing: the group's DMA is the host's again.
hold bob bob iommuctl run --yes "$MF_EDU" -- \
	edu-dma --hold --container '{container}' --group '{group}' --device '{device}' --address "$MF_EDU"
wait_held bob holding >/dev/null
slay bob
wait_idle
assert_eq '' "$(claims)" "claims"
move_device "$MF_NIC" e1000
assert_driver "$MF_NIC" e1000
