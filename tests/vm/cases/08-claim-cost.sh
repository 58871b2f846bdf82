# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# What a claim costs, against VFIO_DEVICE_BIND_IOMMUFD of the same device, which every client pays anyway.

systemctl stop iommud.service iommud.socket iommud-helper.service iommud-helper.socket
modprobe vfio-pci
modprobe iommud
bind_driver "$EDU" vfio-pci
bind_driver "$NIC" vfio-pci
udev_settle

status=0
told=$(kmod-cost 200 "$EDU") || status=$?
note "edu: $told"
[[ $status -eq 0 || $status -eq 3 ]] || fail "kmod-cost ended with $status"
# A device like this is reset when it is opened: the claim must not be what a client waits for.
status=0
told=$(kmod-cost 50 "$NIC") || status=$?
note "e1000e: $told"
assert_eq 0 "$status" "exit status for a device with a reset"
