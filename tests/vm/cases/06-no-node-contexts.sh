# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# Where no LSM labels nodes (this machine has AppArmor, which does not), the kernel module says so when it is to compare them.

modprobe vfio-pci
modprobe iommud
defer rmmod iommud
bind_driver "$EDU" vfio-pci
udev_settle
[[ ! -d /sys/fs/selinux/booleans ]] || fail "SELinux is active here"
assert_eq 'refused: EOPNOTSUPP' "$(kmod-nodes "$EDU" "/dev/vfio/$(group_of "$EDU")")" "a claim that compares nodes"
