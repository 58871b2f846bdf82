# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: noacs
# root: debian
# timeout: 200
#
# A function is plugged into a group that the kernel module has claimed, through QEMU's monitor: it gets no driver, whatever
# LateJoiner= makes of it, and gets its own when the lease is over.

. /payload/guest/iommud.sh
start_iommud

plug()
{
	host-monitor "device_add e1000,id=late,bus=rp-late"
	wait_device "$LATE"
}

pull()
{
	host-monitor --event DEVICE_DELETED "device_del late"
	wait_no_device "$LATE"
}

# It may be there, and nobody drives it.
allow 50-pair bob "$PAIR" GroupScope=whole LateJoiner=allow
watch_events
hold_lease client bob --yes "$PAIR"
plug
wait_event '"lateJoiner"*'"$LATE" >/dev/null
assert_driver "$LATE" none
assert_eq iommud-denied "$(override_of "$LATE")" "override"
write_override "$LATE" e1000
expect_fail bash -c "echo $LATE >/sys/bus/pci/drivers/e1000/bind" 2>/dev/null
write_override "$LATE" iommud-denied
assert_eq active "$(state_of "$PAIR")" "state"
let_go client
wait_event '"driverBound"*'"$LATE is bound to e1000" >/dev/null
wait_idle
assert_eq none "$(override_of "$LATE")" "override"
pull
unwatch_events

# It is parked, and had no driver for a moment in between.
allow 50-pair bob "$PAIR" GroupScope=whole
watch_events
hold_lease client bob --yes "$PAIR"
plug
wait_event '"memberParked"*'"$LATE had no driver" >/dev/null
assert_driver "$LATE" pci-stub
let_go client
wait_idle
assert_driver "$LATE" e1000
assert_eq none "$(override_of "$LATE")" "override"
pull
unwatch_events
