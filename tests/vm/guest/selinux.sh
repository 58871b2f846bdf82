# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For cases on machines/selinux: sourced after iommud.sh.

# shellcheck disable=SC2034 # for the caller
vfio_context=system_u:object_r:vfio_device_t

# context_of FILE: its security context
context_of()
{
	stat -c %C "$1"
}

# node_of ADDRESS: the device's own node, of one that is on vfio
node_of()
{
	local name

	name=$(ls "/sys/bus/pci/devices/$1/vfio-dev")
	echo "/dev/vfio/devices/$name"
}

# hold_confined NAME USER LEVEL ARG...: like hold_lease, with the context of the case, but for this MLS level
hold_confined()
{
	local name=$1 user=$2 level=$3 line

	shift 3
	hold "$name" "$user" runcon -l "$level" iommuctl acquire --json=short "$@"
	line=$(wait_held "$name" '"lease":')
	lease=${line#*'"lease":'}
	# shellcheck disable=SC2034 # for the caller
	lease=${lease%%,*}
}
