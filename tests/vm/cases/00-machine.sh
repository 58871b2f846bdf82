# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# The machine itself is what the README says. When this fails, other failures
# say nothing.

assert_eq "$VGA" "$(members_of "$VGA")" "group of the VGA"
assert_eq "$EDU" "$(members_of "$EDU")" "group of the edu"
assert_eq "$MF_NIC $MF_NVME $MF_EDU" "$(members_of "$MF_NIC")" "group of the slot with three functions"
assert_eq "$NIC" "$(members_of "$NIC")" "group of the NIC"
assert_eq "$NVME" "$(members_of "$NVME")" "group of the nvme"

assert_driver "$VGA" bochs-drm
assert_driver "$EDU" none
assert_driver "$MF_NIC" e1000
assert_driver "$MF_NVME" nvme
assert_driver "$MF_EDU" none
assert_driver "$NIC" e1000e
assert_driver "$NVME" nvme
assert_eq 1 "$(<"/sys/bus/pci/devices/$VGA/boot_vga")" "boot_vga"

assert_eq "uid=1000(alice) gid=1000(alice) groups=1000(alice)" "$(as alice id)"
assert_eq 1001 "$(id -u bob)"
assert_eq 1002 "$(id -u carol)"

# VFIO with both backends
modprobe -a vfio-pci iommufd
bind_driver "$EDU" vfio-pci
udev_settle
[[ -c /dev/iommu ]]
[[ -c /dev/vfio/$(group_of "$EDU") ]]
nodes=("/sys/bus/pci/devices/$EDU/vfio-dev"/vfio*)
[[ -c /dev/vfio/devices/${nodes[0]##*/} ]]
assert_eq "DMA ok: 4096 bytes there and back, compared" "$(edu-dma --open-nodes "$EDU" --backend iommufd)"
assert_eq "DMA ok: 4096 bytes there and back, compared" "$(edu-dma --open-nodes "$EDU" --backend legacy)"

# fds by number: an unused device and an iommufd, or container and group
edu-dma --device 5 --iommu 6 5<>"/dev/vfio/devices/${nodes[0]##*/}" 6<>/dev/iommu
edu-dma --container 5 --group 6 --address "$EDU" 5<>/dev/vfio/vfio 6<>"/dev/vfio/$(group_of "$EDU")"

# A group is one: no VFIO for a member while others have their drivers.
bind_driver "$MF_EDU" vfio-pci
error=$(expect_fail edu-dma --open-nodes "$MF_EDU" --backend legacy 2>&1)
assert_contains "$error" "not viable"

# A client that holds the device, and is waited for.
mkfifo "$state/stdin"
edu-dma --open-nodes "$EDU" --hold <"$state/stdin" >"$state/out" &
holder=$!
exec {stdin}>"$state/stdin"
wait_line "$state/out" holding 20
exec {stdin}>&-
wait "$holder"
