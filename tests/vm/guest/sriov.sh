# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What cases of the machine sriov share: sourced after iommud.sh.

pf=/sys/bus/pci/devices/$PF

# set_vfs N: makes as many, or none
set_vfs()
{
	echo "$1" >"$pf/sriov_numvfs"
	udev_settle
}

# vf_addresses: of all there are, a line each, in the order of their numbers
vf_addresses()
{
	local number=0 link

	while link=$(readlink "$pf/virtfn$number"); do
		echo "${link##*/}"
		number=$((number + 1))
	done
}

# sriov_begin: the nvme driver can't start on QEMU's virtual functions, so it is kept off them. What there is of them goes
# when the case ends.
sriov_begin()
{
	modprobe vfio-pci
	echo 0 >"$pf/sriov_drivers_autoprobe"
	defer eval "echo 1 >$pf/sriov_drivers_autoprobe"
	defer set_vfs 0
}
