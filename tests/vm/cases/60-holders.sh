# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# A third process keeps the device, and is named: to its user and to root, and to nobody else.

. /payload/guest/iommud.sh
start_iommud
set_policy 60-both <<END
[Match]
Address=$EDU
[Client]
User=bob carol
[Grant]
Action=allow
END

# busy USER TEXT: Acquire as this user is refused by that text
busy()
{
	local error status=0

	error=$(as "$1" varlinkctl -j call /run/iommud/io.iommud io.iommud.Acquire "{\"devices\":[\"$EDU\"]}" 2>&1) ||
		status=$?
	[[ $status -ne 0 ]] || fail "$1 got the device"
	assert_contains "$error" io.iommud.DeviceBusy
	assert_contains "$error" "$2"
}

# holds BACKEND WORD NUMBERS... -- KEPT...: the process that is left with the descriptors is named, after WORD
holds()
{
	local backend=$1 word=$2 pid named
	local -a numbers=()

	shift 2
	while [[ $1 != -- ]]; do
		numbers+=("$1")
		shift
	done
	watch_events
	hold client bob iommuctl run --backend="$backend" "$EDU" -- \
		keep-fds "${@:2}" -- edu-dma --hold "${numbers[@]}"
	wait_held client holding
	wait "${holder[client]}"
	pid=$(pgrep -x edu-dma)
	named="${word}pid $pid (edu-dma)"
	assert_contains "$(wait_event '"leaseLingering"*'"$EDU")" "they are with $named;"
	assert_contains "$(iommuctl status)" "descriptors of its devices are with $named."
	assert_contains "$(as bob iommuctl status --json=short)" "\"holders\":[\"$named\"]"
	busy bob "\"holders\":[\"$named\"]"
	busy carol '"holders":["another user"]'
	let_go client
	wait_event '"leaseReleased"*'"$EDU" >/dev/null
	unwatch_events
	assert_driver "$EDU" none
}

holds iommufd '' --device '{device}' --iommu '{iommu}' -- '{device}' '{iommu}'
# Opened by its group, the device is known by the group that the process has as well; without it, it could be another.
holds legacy '' --container '{container}' --group '{group}' --device '{device}' --address "$EDU" -- \
	'{container}' '{group}' '{device}'
