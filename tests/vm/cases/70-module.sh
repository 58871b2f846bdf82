# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# What the kernel module promises, by its own calls, and without the daemon.

modprobe vfio-pci
modprobe pci-stub
modprobe managed-dma
modprobe iommud
kmod-cases
[[ $(cat /sys/kernel/debug/iommud/claims) == "group device state flags pid context label members" ]] ||
	fail "a claim is left: $(cat /sys/kernel/debug/iommud/claims)"
rmmod iommud
rmmod managed-dma
