# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: nointremap
# root: tiny
# timeout: 60
#
# Without interrupt remapping the kernel refuses both backends: what a broker
# has to find out before.

bind_driver "$EDU" vfio-pci
error=$(expect_fail edu-dma --open-nodes "$EDU" --backend iommufd 2>&1)
assert_contains "$error" "VFIO_DEVICE_BIND_IOMMUFD: Operation not permitted"
error=$(expect_fail edu-dma --open-nodes "$EDU" --backend legacy 2>&1)
assert_contains "$error" "VFIO_SET_IOMMU: Operation not permitted"
