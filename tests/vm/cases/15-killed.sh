# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# A client is killed while its device does DMA: the device is free again, and on the driver it had.

. /payload/guest/iommud.sh
start_iommud
set_policy 50-bob <<END
[Match]
Address=$EDU $NIC
[Client]
User=bob
[Grant]
Action=allow
END

# killed BACKEND NUMBERS...: bob has both devices and is killed; afterwards they are as before
killed()
{
	local backend=$1

	shift
	watch_events
	hold client bob iommuctl run --backend="$backend" "$EDU" "$NIC" -- edu-dma --hold "$@"
	wait_held client holding
	assert_driver "$NIC" vfio-pci
	assert_driver "$EDU" vfio-pci
	assert_eq active "$(state_of "$EDU")" "state of $EDU"
	# It has become the client, and nothing stands between it and the lease.
	assert_eq edu-dma "$(<"/proc/${holder[client]}/comm")"
	slay client
	wait_event '"leaseReleased"*"uid":1001' >/dev/null
	unwatch_events
	assert_driver "$EDU" none
	assert_driver "$NIC" e1000e
	assert_eq none "$(override_of "$NIC")" "override of $NIC"
	assert_eq none "$(override_of "$EDU")" "override of $EDU"
	assert_eq free "$(state_of "$EDU")" "state of $EDU"
	assert_eq free "$(state_of "$NIC")" "state of $NIC"
}

killed iommufd --device '{device:0}' --iommu '{iommu}'
killed legacy --container '{container}' --group '{group:0}' --device '{device:0}' --address "$EDU"
