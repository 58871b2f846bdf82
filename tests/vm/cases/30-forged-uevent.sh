# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# Nobody but udevd can tell iommud about devices, and nobody can keep it from hearing.

. /payload/guest/iommud.sh
start_iommud
broker=$(main_pid iommud)
ghost=0000:00:1e.7
before=$(iommuctl list --json=short)
# Linux gives a netlink socket its process's pid as port when it can; 15 is NETLINK_KOBJECT_UEVENT, 2 udev's group.
port=$(awk -v pid="$broker" '$2 == 15 && $3 == pid && $4 == "00000002" { print $3 }' /proc/net/netlink)
assert_eq "$broker" "$port" "the port of iommud's monitor"
watch_events

# still_hears: it is the same process, knows what it knew, and hears of what really happens
still_hears()
{
	bind_driver "$EDU" vfio-pci
	wait_event '"driverBound"*'"$EDU" >/dev/null
	unbind_driver "$EDU"
	wait_event '"driverUnbound"*'"$EDU" >/dev/null
	set_override "$EDU" none
	assert_eq "$before" "$(iommuctl list --json=short)" "the list"
	assert_eq "$broker" "$(main_pid iommud)" "the broker's pid"
	expect_fail grep -E "$ghost|resynced" "$events"
	unwatch_events
	watch_events
}

# A user can't even send.
error=$(expect_fail as alice forge-uevent --port "$port" "$ghost" 2>&1)
assert_contains "$error" "Operation not permitted"
error=$(expect_fail as alice forge-uevent --multicast "$ghost" 2>&1)
assert_contains "$error" "Operation not permitted"
still_hears

# Root can, to this socket alone: it is not believed, however large.
forge-uevent --port "$port" "$ghost"
forge-uevent --port "$port" --size 100000 "$ghost"
for _ in {1..64}; do
	forge-uevent --port "$port" "$EDU"
done
still_hears

# And as udevd does it: sysfs is asked, and has no such device. udevadm, which does not ask, takes it for true.
stdbuf -oL udevadm monitor --udev --subsystem-match=pci >"$state/udevadm" &
wait_line "$state/udevadm" 'UDEV - ' 20 >/dev/null
forge-uevent --multicast "$ghost"
wait_line "$state/udevadm" "add*$ghost" 20
still_hears

# What can't be read may have been anything: everything is read anew.
forge-uevent --multicast --size 100000 "$ghost"
wait_event '"resynced"' >/dev/null
unwatch_events
watch_events
still_hears
