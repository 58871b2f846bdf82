# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: nointremap
# root: debian
# timeout: 90
#
# Without interrupt remapping no group is given away, until the administrator says that it may.

. /payload/guest/iommud.sh
start_iommud
allow 50-bob bob "$EDU"
vfio=/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
iommufd=/sys/module/iommufd/parameters/allow_unsafe_interrupts
defer sh -c "echo N >$vfio"
defer sh -c "echo N >$iommufd"
watch_events

groups=$(iommuctl groups --json=short)
assert_contains "$groups" '"kind":"unsafeInterrupts"'
[[ $groups != *'"viable":true'* ]]
status=0
error=$(as bob iommuctl acquire "$EDU" 2>&1 </dev/null) || status=$?
assert_eq 5 "$status" "exit status"
assert_contains "$error" "allow_unsafe_interrupts=1"
assert_driver "$EDU" none
assert_eq none "$(override_of "$EDU")" "override"

# One of two is not enough: descriptors of the other backend would be of no use.
echo Y >$vfio
expect_status 5 as bob iommuctl acquire "$EDU" </dev/null
echo Y >$iommufd
as bob iommuctl run --backend=legacy "$EDU" -- \
	edu-dma --container '{container}' --group '{group}' --device '{device}' --address "$EDU"
wait_idle
as bob iommuctl run --backend=iommufd "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
wait_idle
assert_contains "$(iommuctl groups --json=short)" '"devices":["'"$EDU"'"],"viable":true'

echo N >$vfio
echo N >$iommufd
expect_status 5 as bob iommuctl acquire "$EDU" </dev/null
