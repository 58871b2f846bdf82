# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# The vfio driver of a device is loaded when a client needs it, by udev, for the helper has no right to load modules.

. /payload/guest/iommud.sh
start_iommud
allow 61-bob bob "$EDU"
mark_journal

# What is loaded says by its alias that it drives the device; the device says who that is.
assert_contains "$(modprobe -R "vfio_$(<"/sys/bus/pci/devices/$EDU/modalias")")" vfio_pci

unload()
{
	modprobe -r vfio_pci
	[[ ! -e /sys/bus/pci/drivers/vfio-pci ]] || fail "vfio-pci is loaded still"
}
unload

as bob iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
assert_contains "$(lsmod)" vfio_pci
wait_journal "$EDU: module vfio_pci was loaded, with the driver vfio-pci" -u iommud-helper >/dev/null
wait_idle
assert_driver "$EDU" none

# The helper itself could not: it has neither the capability nor the calls.
capabilities=$(sed -n 's/^CapBnd:[[:space:]]*//p' "/proc/$(main_pid iommud-helper)/status")
[[ $((0x$capabilities & 1 << 16)) -eq 0 ]] || fail "the helper has CAP_SYS_MODULE"
