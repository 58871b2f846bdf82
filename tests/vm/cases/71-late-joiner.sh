# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: noacs
# root: debian
# timeout: 500
#
# Functions are plugged into a group that is leased, through QEMU's monitor, and by a rescan: they are parked, allowed, or a
# violation, as LateJoiner= says.

. /payload/guest/iommud.sh
start_iommud
without_module

# pair_policy LINE...: bob may have $PAIR
pair_policy()
{
	allow 50-pair bob "$PAIR" GroupScope=whole "$@"
}

plug()
{
	host-monitor "device_add $1,id=late,bus=rp-late"
	wait_device "$LATE"
}

pull()
{
	host-monitor --event DEVICE_DELETED "device_del late"
	wait_no_device "$LATE"
}

# The two of the machine, and the ports that they are below.
assert_eq "0000:00:0b.0 0000:00:0b.1 $PAIR" "$(members_of "$PAIR")" "the group"

# Descriptors are out, but no DMA is set up: the host's driver gets the function first, and gets it back at the end.
pair_policy
watch_events
hold_lease client bob --yes "$PAIR"
plug e1000
assert_contains "$(members_of "$PAIR")" "$LATE"
event=$(wait_event '"lateJoiner"')
assert_contains "$event" "$LATE joined group"
assert_contains "$event" '"uid":1001'
wait_event '"memberParked"*'"$LATE" >/dev/null
assert_driver "$LATE" pci-stub
assert_contains "$(iommuctl status --json=short)" '"parked":["'"$LATE"'"]'
assert_eq active "$(state_of "$PAIR")" "state"
let_go client
wait_idle
assert_driver "$LATE" e1000
assert_eq none "$(override_of "$LATE")" "override"
pull
unwatch_events

# A client whose DMA is set up goes on with it; the kernel itself keeps the host's driver away. Two functions at once, pulled
# and plugged again, leave nothing behind.
watch_events
hold client bob iommuctl run --yes "$PAIR" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held client holding
for round in 1 2; do
	# A slot shows its functions when function 0 comes.
	host-monitor "device_add edu,id=late1,bus=rp-late,addr=00.1,multifunction=on"
	host-monitor "device_add e1000,id=late,bus=rp-late,addr=00.0,multifunction=on,romfile="
	wait_device "$LATE"
	wait_event '"memberParked"*'"${LATE%0}1" >/dev/null
	wait_event '"memberParked"*'"$LATE" >/dev/null
	assert_driver "$LATE" pci-stub
	assert_driver "${LATE%0}1" pci-stub
	assert_eq active "$(state_of "$PAIR")" "state in round $round"
	pull
	wait_event '"deviceRemoved"*'"$LATE" >/dev/null
	wait_event '"deviceRemoved"*'"${LATE%0}1" >/dev/null
	unwatch_events
	watch_events
done
plug edu
wait_event '"memberParked"*'"$LATE" >/dev/null
expect_fail grep '"violation"' "$events"

# By a rescan, as well.
echo 1 >"/sys/bus/pci/devices/$LATE/remove"
wait_event '"deviceRemoved"*'"$LATE" >/dev/null
unwatch_events
watch_events
echo 1 >/sys/bus/pci/rescan
wait_event '"memberParked"*'"$LATE" >/dev/null
assert_driver "$LATE" pci-stub
let_go client
wait_idle
assert_driver "$LATE" none
assert_eq none "$(override_of "$LATE")" "override"
assert_contains "$(<"$state/client.out")" 'DMA ok'
pull
unwatch_events

# It may stay.
pair_policy LateJoiner=allow OnViolation=log
watch_events
hold_lease client bob --yes "$PAIR"
plug edu
wait_event '"lateJoiner"' >/dev/null
assert_eq active "$(state_of "$PAIR")" "state"
pull
wait_event '"deviceRemoved"*'"$LATE" >/dev/null
plug e1000
wait_event '"violation"*e1000' >/dev/null
assert_eq violated "$(state_of "$PAIR")" "state"
assert_driver "$LATE" e1000
pull
wait_event '"violationEnded"' >/dev/null
assert_eq active "$(state_of "$PAIR")" "state"
let_go client
wait_idle
unwatch_events

# It must not be there, whatever driver it has.
pair_policy LateJoiner=violate OnViolation=log
watch_events
hold_lease client bob --yes "$PAIR"
plug edu
wait_event '"violation"*LateJoiner=violate' >/dev/null
assert_contains "$(iommuctl status)" "$LATE joined group"
pull
wait_event '"violationEnded"' >/dev/null
let_go client
wait_idle
unwatch_events

pair_policy LateJoiner=violate OnViolation=revoke
watch_events
hold_lease client bob --yes "$PAIR"
plug edu
wait_event '"releaseRequested"*'"$LATE joined" >/dev/null
assert_driver "$LATE" none
let_go client
wait_idle
pull
