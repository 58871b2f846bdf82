# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# A real variant driver of vfio-pci: virtio_vfio_pci, for a network device of virtio. It is chosen by its alias, loaded by udev,
# and shown; vfio-pci is what remains without it; and the host's driver comes back.

. /payload/guest/iommud.sh
start_iommud

unplug()
{
	host-monitor --event DEVICE_DELETED "device_del hot"
	wait_no_device "$HOT"
}

host-monitor "device_add virtio-net-pci,id=hot,bus=rp-hot,romfile=,iommu_platform=on,disable-legacy=on"
wait_device "$HOT"
defer unplug
assert_driver "$HOT" virtio-pci
allow 92-bob bob "$HOT"
mark_journal

assert_contains "$(modprobe -R "vfio_$(<"/sys/bus/pci/devices/$HOT/modalias")")" virtio_vfio_pci
[[ ! -e /sys/bus/pci/drivers/virtio_vfio_pci ]] || modprobe -r virtio_vfio_pci

# use BACKEND: leases and uses it, and checks where it was meanwhile and is afterwards
use()
{
	local expected=$1 fds=()

	shift
	fds=("$@")
	hold client bob iommuctl run "$HOT" -- vfio-io --hold "${fds[@]}"
	wait_held client 'ids 1af4:1041'
	wait_held client holding
	assert_driver "$HOT" "$expected"
	assert_contains "$(as bob iommuctl describe --json=short "$HOT")" "\"driver\":\"$expected\""
	let_go client
	wait_idle
	assert_driver "$HOT" virtio-pci
	assert_eq none "$(override_of "$HOT")" "override"
}

iommufd=(--device '{device}' --iommu '{iommu}')
use virtio_vfio_pci "${iommufd[@]}"
wait_journal "$HOT: module virtio_vfio_pci was loaded, with the driver virtio_vfio_pci" -u iommud-helper >/dev/null
# It is there now; unloaded it comes again.
use virtio_vfio_pci "${iommufd[@]}"
modprobe -r virtio_vfio_pci
[[ ! -e /sys/bus/pci/drivers/virtio_vfio_pci ]] || fail "the variant driver is loaded still"
use virtio_vfio_pci "${iommufd[@]}"

# One that the administrator does not want is not taken. udevd looks for such files every three seconds; reload has it do so now.
modprobe -r virtio_vfio_pci
echo 'blacklist virtio_vfio_pci' >/etc/modprobe.d/92-variant.conf
defer rm -f /etc/modprobe.d/92-variant.conf
udevadm control --reload
use vfio-pci "${iommufd[@]}"
[[ ! -e /sys/bus/pci/drivers/virtio_vfio_pci ]] || modprobe -r virtio_vfio_pci
rm -f /etc/modprobe.d/92-variant.conf
udevadm control --reload
use virtio_vfio_pci "${iommufd[@]}"
