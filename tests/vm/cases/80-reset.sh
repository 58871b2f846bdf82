# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 300
#
# Real devices are reset before another user gets them, and only then; what can't be reset on its own is granted with a
# notice, or refused; and a device whose reset fails is nobody's until one succeeds. The kernel's own word for each reset
# comes from the module fail-reset.

. /payload/guest/iommud.sh
start_iommud
forget_past
modprobe fail-reset
defer modprobe -r fail-reset
watch_events

# rules GRANT: for bob and carol
rules()
{
	set_policy 80-reset <<-END
		[Match]
		Address=$NVME $EDU 0000:03:00.*
		[Client]
		User=bob carol
		[Grant]
		Action=allow
		GroupScope=whole
		$1
	END
}

# resets: how many of $NVME there were
resets()
{
	dmesg | grep -c "fail-reset: $NVME: reset returns 0" || true
}

# watch_bus, bus_resets: how often somebody asked VFIO to reset a bus, and was obeyed, since
watch_bus()
{
	tracing=/sys/kernel/tracing
	[[ -e $tracing/kprobe_events ]] || mount -t tracefs tracefs $tracing
	echo 'r:bus_reset vfio_pci_core:vfio_pci_dev_set_hot_reset ret=$retval:s32' >$tracing/kprobe_events
	defer unwatch_bus
	echo 1 >$tracing/events/kprobes/bus_reset/enable
}

unwatch_bus()
{
	echo 0 >$tracing/events/kprobes/bus_reset/enable
	echo >$tracing/kprobe_events
}

bus_resets()
{
	grep -c 'bus_reset: .* ret=0$' $tracing/trace || true
}

# serve USER ADDRESS...: has the devices for a moment
serve()
{
	as "$1" iommuctl run --yes "${@:2}" -- true
	wait_idle
}

rules Reset=prefer
assert_contains "$(iommuctl describe --json=short "$NVME")" '"resetScope":"function","resetSet":["'"$NVME"'"],"quarantined":false'
assert_contains "$(iommuctl describe --json=short "$EDU")" '"resetScope":null,"resetSet":[]'
assert_eq 0 "$(resets)" "resets before"

# ---- another user ----

expected=1
serve bob "$NVME"
assert_eq $expected "$(resets)" "resets for bob, after nobody knows whom"
serve bob "$NVME"
assert_eq $expected "$(resets)" "resets for bob again"
assert_contains "$(as carol iommuctl explain "$NVME")" "$NVME is reset before (another user had it)"
mark_journal
serve carol "$NVME"
assert_eq $((++expected)) "$(resets)" "resets for carol"
wait_journal "$NVME: prepare done (driver nvme), reset" -u iommud-helper >/dev/null
serve carol "$NVME"
assert_eq $expected "$(resets)" "resets for carol again"

# One that is on vfio-pci already leaves it for that, and comes back.
bind_driver "$NVME" vfio-pci
serve bob "$NVME"
assert_eq $((++expected)) "$(resets)" "resets on vfio-pci"
assert_driver "$NVME" vfio-pci
assert_eq vfio-pci "$(override_of "$NVME")" "override"
restore_device "$NVME"
assert_driver "$NVME" nvme

# A rule can do without.
rules Reset=no
serve carol "$NVME"
assert_eq $expected "$(resets)" "resets with Reset=no"

# ---- what can't be reset ----

rules Reset=prefer
as carol iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
wait_idle
assert_contains "$(wait_event '"notReset"')" "$EDU was handed out as it was left"

rules Reset=require
status=0
error=$(as carol iommuctl acquire "$EDU" 2>&1 </dev/null) || status=$?
assert_eq 3 "$status" "exit status"
assert_contains "$error" "$EDU can't be reset: it has no method of its own"
assert_contains "$error" "Reset=prefer in $policy_dir/80-reset.policy:1"
assert_driver "$EDU" none
serve bob "$NVME"
assert_eq $((++expected)) "$(resets)" "resets with Reset=require"

# Two functions below one root port, neither of which can be reset without the other, whatever the kernel lists of the first:
# it was alone there when it was found.
host-monitor "device_add edu,id=hot1,bus=rp-hot,multifunction=on,addr=0.1"
host-monitor "device_add edu,id=hot0,bus=rp-hot,multifunction=on,addr=0.0"
wait_device 0000:03:00.0
wait_device 0000:03:00.1
udev_settle
assert_contains "$(iommuctl describe --json=short 0000:03:00.0)" \
	'"resetScope":"bus","resetSet":["0000:03:00.0","0000:03:00.1"]'
error=$(as bob iommuctl acquire --yes 0000:03:00.0 2>&1 </dev/null) || true
assert_contains "$error" "a reset of its bus would hit 0000:03:00.1"
watch_bus
serve bob 0000:03:00.0 0000:03:00.1
assert_eq 1 "$(bus_resets)" "resets of the bus for bob, after nobody knows whom"
serve bob 0000:03:00.0 0000:03:00.1
assert_eq 1 "$(bus_resets)" "resets of the bus for bob again"
# The devices are as good as new, and theirs is another's DMA.
as carol iommuctl run --yes 0000:03:00.1 0000:03:00.0 -- edu-dma --device '{device:1}' --iommu '{iommu}'
wait_idle
assert_eq 2 "$(bus_resets)" "resets of the bus for carol"
as bob iommuctl run --yes --backend=legacy 0000:03:00.0 0000:03:00.1 -- \
	edu-dma --container '{container}' --group '{group:0}' --device '{device:0}' --address 0000:03:00.0
wait_idle
assert_eq 3 "$(bus_resets)" "resets of the bus before a legacy lease"
host-monitor --event DEVICE_DELETED "device_del hot0"
wait_no_device 0000:03:00.0
wait_no_device 0000:03:00.1

# ---- quarantine ----

rules Reset=prefer
parameter=/sys/module/fail_reset/parameters/device
echo "$NVME" >$parameter
status=0
error=$(as carol iommuctl acquire "$NVME" 2>&1 </dev/null) || status=$?
assert_eq 1 "$status" "exit status of a failed reset"
assert_contains "$error" "$NVME could not be reset (Input/output error), and is quarantined"
assert_contains "$(wait_event '"deviceQuarantined"')" "$NVME"
assert_driver "$NVME" nvme
assert_eq none "$(override_of "$NVME")" "override"
assert_contains "$(iommuctl list --no-legend)" " quarantined "
assert_contains "$(iommuctl describe --json=short "$NVME")" '"quarantined":true'
# Neither for who had it last.
expect_status 1 as bob iommuctl acquire "$NVME" </dev/null
assert_contains "$(as bob iommuctl explain "$NVME")" "$NVME is quarantined"
assert_driver "$NVME" nvme

# Mended: the next request finds out.
echo >$parameter
serve bob "$NVME"
assert_eq $((++expected)) "$(resets)" "resets out of quarantine"
wait_event '"quarantineEnded"' >/dev/null
assert_contains "$(iommuctl describe --json=short "$NVME")" '"quarantined":false'
serve bob "$NVME"
assert_eq $expected "$(resets)" "resets afterwards"
unwatch_events
