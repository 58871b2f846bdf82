# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 300
#
# A device goes while it is leased, without being asked for: its lease ends, or is violated, and what comes to its address is
# another device.
#
# Linux takes no device away from vfio as long as descriptors of it are open; a removal waits for them, which is a request
# (73-unplug-request). So what can be lost is a device whose client keeps the lease, but not its descriptors. QEMU's root
# port has no way to let the link go down: that the device stops answering first, as a card does that is torn out, is not
# shown here.

. /payload/guest/iommud.sh
start_iommud

# hold_bare: bob has a lease of $HOT and keeps nothing but its connection
hold_bare()
{
	# shellcheck disable=SC2016 # for the shell that is run
	hold client bob iommuctl run "$HOT" -- bash -c '
		edu-dma --device "$IOMMUD_DEVICE_FD_0" --iommu "$IOMMUD_IOMMU_FD" || exit
		eval "exec $IOMMUD_DEVICE_FD_0>&- $IOMMUD_IOMMU_FD>&-"
		echo bare
		read -r _'
	wait_held client bare
}

plug()
{
	host-monitor "device_add edu,id=hot,bus=rp-hot"
	wait_device "$HOT"
}

plug
for how in sysfs monitor; do
	# The lease ends by itself, while its client is still there.
	allow 50-bob bob "$HOT"
	watch_events
	mark_journal
	hold_bare
	case $how in
	sysfs) echo 1 >"/sys/bus/pci/devices/$HOT/remove" ;;
	monitor) host-monitor --event DEVICE_DELETED "device_del hot" ;;
	esac
	wait_no_device "$HOT"
	wait_event '"releaseRequested"*'"$HOT" >/dev/null
	wait_event '"leaseReleased"*'"$HOT" >/dev/null
	expect_fail grep restoreFailed "$events"
	assert_contains "$(journal_since -u iommud-helper)" "$HOT: removed or replaced since it was prepared"
	assert_eq '"leases":[]' "$(iommuctl status --json=short | grep -o '"leases":\[\]')" "leases"
	let_go client
	unwatch_events

	# By OnViolation=log it stays until its client lets go.
	allow 50-bob bob "$HOT" OnViolation=log
	case $how in
	sysfs) echo 1 >/sys/bus/pci/rescan ;;
	monitor) plug ;;
	esac
	wait_device "$HOT"
	watch_events
	hold_bare
	case $how in
	sysfs) echo 1 >"/sys/bus/pci/devices/$HOT/remove" ;;
	monitor) host-monitor --event DEVICE_DELETED "device_del hot" ;;
	esac
	event=$(wait_event '"deviceLost"')
	assert_contains "$event" "$HOT was removed while lease"
	wait_event '"violation"*'"$HOT" >/dev/null
	assert_contains "$(iommuctl status)" "violated"
	assert_contains "$(iommuctl status)" "$HOT was removed"

	# What comes to its address is not the lease's, but free for the next one.
	case $how in
	sysfs) echo 1 >/sys/bus/pci/rescan ;;
	monitor) plug ;;
	esac
	wait_device "$HOT"
	wait_event '"deviceAdded"*'"$HOT" >/dev/null
	let_go client
	wait_event '"leaseReleased"*'"$HOT" >/dev/null
	wait_idle
	assert_driver "$HOT" none
	assert_eq none "$(override_of "$HOT")" "override"
	as bob iommuctl run "$HOT" -- edu-dma --device '{device}' --iommu '{iommu}'
	wait_idle
	unwatch_events
done
host-monitor --event DEVICE_DELETED "device_del hot"
wait_no_device "$HOT"
