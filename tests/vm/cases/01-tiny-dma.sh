# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: tiny
# timeout: 60
#
# DMA with nothing but the kernel: no systemd, no udevd.

assert_eq yes "$TINY"
bind_driver "$EDU" vfio-pci
edu-dma --open-nodes "$EDU" --backend iommufd
edu-dma --open-nodes "$EDU" --backend legacy
