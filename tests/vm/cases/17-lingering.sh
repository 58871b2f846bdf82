# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# A descriptor that a third process has keeps the device from everybody until it is closed; nothing else waits for that.

. /payload/guest/iommud.sh
start_iommud
set_policy 50-both <<END
[Match]
Address=$EDU $NIC
[Client]
User=bob carol
[Grant]
Action=allow
END

# lingers BACKEND NUMBERS... -- KEPT...: edu-dma of the numbers is left behind with the descriptors KEPT
lingers()
{
	local backend=$1 status=0 error
	local -a numbers=() kept

	shift
	while [[ $1 != -- ]]; do
		numbers+=("$1")
		shift
	done
	kept=("${@:2}")
	watch_events
	hold client bob iommuctl run --backend="$backend" "$EDU" -- \
		keep-fds "${kept[@]}" -- edu-dma --hold "${numbers[@]}"
	wait_held client holding
	# Whom the lease was given to is gone, and it with its connection; the descriptors are not.
	wait "${holder[client]}"
	wait_event '"leaseLingering"*'"$EDU" >/dev/null

	# The kernel waits in the unbind now, with the device's lock held. Nobody else does.
	assert_eq lingering "$(state_of "$EDU")" "state"
	assert_contains "$(iommuctl list)" "lingering"
	assert_contains "$(iommuctl groups)" "$EDU"
	assert_contains "$(iommuctl status)" "lingering"
	assert_contains "$(as carol iommuctl describe "$EDU")" "State: lingering"
	error=$(as carol iommuctl acquire "$EDU" 2>&1 </dev/null) || status=$?
	assert_eq 4 "$status" "exit status of the next one"
	assert_contains "$error" lingering
	error=$(expect_fail as carol varlinkctl -j call /run/iommud/io.iommud io.iommud.Acquire \
		"{\"devices\":[\"$EDU\"]}" 2>&1)
	assert_contains "$error" io.iommud.DeviceBusy
	assert_contains "$error" '"state":"lingering"'
	# Another device comes and goes meanwhile.
	as carol iommuctl run "$NIC" -- true
	wait_event '"leaseReleased"*'"$NIC" >/dev/null
	assert_driver "$NIC" e1000e
	expect_fail grep "leaseReleased.*$EDU" "$events"

	# The third process ends.
	let_go client
	wait_event '"leaseReleased"*'"$EDU" >/dev/null
	unwatch_events
	assert_driver "$EDU" none
	assert_eq none "$(override_of "$EDU")" "override"
	assert_eq free "$(state_of "$EDU")" "state"
	as carol iommuctl acquire "$EDU" </dev/null
	wait_idle
}

lingers iommufd --device '{device}' --iommu '{iommu}' -- '{device}' '{iommu}'
lingers legacy --container '{container}' --group '{group}' --device '{device}' --address "$EDU" -- \
	'{container}' '{group}' '{device}'
