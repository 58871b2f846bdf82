# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 400
#
# Root binds a driver to a member of a leased group by hand. By default it is taken from it, and gets it back when the lease has
# ended; the rule can have the lease taken back instead. (That it is only told: 25-violation.)

. /payload/guest/iommud.sh
start_iommud
without_module

# slot_policy LINE...: bob may have any of the slot
slot_policy()
{
	set_policy 50-slot <<-END
		[Match]
		Address=0000:00:07.*
		[Client]
		User=bob
		[Grant]
		Action=allow
		GroupScope=whole
		$(printf '%s\n' "$@")
	END
}

unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle

# Taken from its driver, and put back at the end.
slot_policy
watch_events
hold_lease client bob --yes "$MF_EDU"
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
event=$(wait_event '"violation"')
assert_contains "$event" "$MF_NIC is bound to e1000"
wait_event '"memberParked"*'"$MF_NIC" >/dev/null
wait_event '"violationEnded"' >/dev/null
assert_driver "$MF_NIC" pci-stub
assert_eq active "$(state_of "$MF_EDU")" "state"
assert_contains "$(iommuctl status --json=short)" '"parked":["'"$MF_NIC"'"]'
assert_contains "$(journalctl --quiet -o cat -u iommud IOMMUD_EVENT=memberParked IOMMUD_DEVICE="$MF_NIC" -n 1)" \
	"was taken from e1000"
unwatch_events

# Who takes it from pci-stub finds it there again; not for ever.
for attempt in 2 3; do
	watch_events
	move_device "$MF_NIC" none
	write_override "$MF_NIC" e1000
	echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
	wait_event '"violationEnded"' >/dev/null
	assert_driver "$MF_NIC" pci-stub
	assert_eq active "$(state_of "$MF_EDU")" "state after attempt $attempt"
	unwatch_events
done
watch_events
move_device "$MF_NIC" none
write_override "$MF_NIC" e1000
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
wait_event '"violation"*'"does not try again" >/dev/null
assert_driver "$MF_NIC" e1000
assert_eq violated "$(state_of "$MF_EDU")" "state"
let_go client
wait_idle
unwatch_events
assert_driver "$MF_EDU" none
assert_driver "$MF_NIC" e1000
assert_eq none "$(override_of "$MF_NIC")" "override"

# Two of them, and a client that is killed: all is put back.
move_device "$MF_NIC" none
watch_events
hold_lease client bob --yes "$MF_EDU"
echo "$MF_NVME" >/sys/bus/pci/drivers/nvme/bind
wait_event '"memberParked"*'"$MF_NVME" >/dev/null
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
wait_event '"memberParked"*'"$MF_NIC" >/dev/null
slay client
wait_idle
unwatch_events
assert_driver "$MF_NIC" e1000
assert_driver "$MF_NVME" nvme
assert_driver "$MF_EDU" none
for address in "$MF_NIC" "$MF_NVME" "$MF_EDU"; do
	assert_eq none "$(override_of "$address")" "override of $address"
done
move_device "$MF_NIC" none
move_device "$MF_NVME" none
udev_settle

# The lease is taken back; the intruder stays.
slot_policy OnViolation=revoke
watch_events
hold_lease client bob --yes "$MF_EDU"
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
wait_event '"violation"*'"$MF_NIC is bound to e1000" >/dev/null
wait_event '"releaseRequested"*OnViolation=revoke' >/dev/null
let_go client
wait_event '"leaseReleased"' >/dev/null
expect_fail grep '"memberParked"' "$events"
unwatch_events
assert_driver "$MF_NIC" e1000
move_device "$MF_NIC" none
udev_settle

# A member that is bound to vfio-pci or pci-stub while the group is leased is in nobody's way: thread 004.
watch_events
hold client bob iommuctl run --yes "$MF_EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held client holding
bind_driver "$MF_NIC" vfio-pci
bind_driver "$MF_NVME" pci-stub
wait_event '"driverBound"*'"$MF_NIC is bound to vfio-pci" >/dev/null
wait_event '"driverBound"*'"$MF_NVME is bound to pci-stub" >/dev/null
expect_fail grep -E '"violation"|"memberParked"|"releaseRequested"' "$events"
assert_eq active "$(state_of "$MF_EDU")" "state"
let_go client
wait_idle
assert_driver "$MF_NIC" vfio-pci
assert_driver "$MF_NVME" pci-stub
