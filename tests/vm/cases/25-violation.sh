# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# Root binds a host driver into a group that is leased: by OnViolation=log it is reported at once, and taken back when it is
# undone.

. /payload/guest/iommud.sh
start_iommud
without_module
set_policy 50-slot <<END
[Match]
Address=0000:00:07.*
[Client]
User=bob
[Grant]
Action=allow
GroupScope=whole
OnViolation=log
END
unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle
watch_events

# Descriptors are out, but not in use: the kernel has nothing against it.
hold_lease client bob --yes "$MF_EDU" "$MF_NVME"
assert_eq active "$(state_of "$MF_EDU")" "state"
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
event=$(wait_event '"violation"')
assert_contains "$event" "$MF_NIC is bound to e1000"
assert_contains "$event" '"uid":1001'
assert_eq violated "$(state_of "$MF_EDU")" "state"
assert_contains "$(iommuctl status)" violated
assert_contains "$(journalctl --quiet -o cat -u iommud IOMMUD_EVENT=violation -n 1)" "$MF_NIC is bound to e1000"

echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/unbind
wait_event '"violationEnded"' >/dev/null
assert_eq active "$(state_of "$MF_EDU")" "state"
let_go client
wait_idle
for address in "$MF_NIC" "$MF_NVME" "$MF_EDU"; do
	assert_driver "$address" none
done

# A lease that ends while it is violated ends all the same.
hold_lease client bob --yes "$MF_EDU"
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
wait_event '"violation"*"lease":'"$lease"',' >/dev/null
let_go client
wait_idle
assert_driver "$MF_EDU" none
assert_driver "$MF_NIC" e1000
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/unbind

# While the client's DMA is set up, the kernel itself refuses the host's driver.
hold client bob iommuctl run --yes "$MF_EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held client holding
expect_fail bash -c "echo $MF_NIC >/sys/bus/pci/drivers/e1000/bind"
assert_driver "$MF_NIC" none
assert_eq active "$(state_of "$MF_EDU")" "state"
let_go client
wait_idle
