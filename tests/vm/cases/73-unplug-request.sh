# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 400
#
# The kernel asks for a device back that is leased: it is to be unplugged, removed or unbound, and waits for the last descriptor.
# The client is asked at once, and what the kernel was told happens when it lets go.

. /payload/guest/iommud.sh
start_iommud

plug()
{
	host-monitor "device_add edu,id=hot,bus=rp-hot"
	wait_device "$HOT"
}

# ask HOW: in the background where it waits; $asked is its pid, or empty
ask()
{
	asked=
	case $1 in
	device_del)
		host-monitor "device_del hot"
		return
		;;
	unbind) set -- "$HOT" /sys/bus/pci/drivers/vfio-pci/unbind ;;
	remove) set -- 1 "/sys/bus/pci/devices/$HOT/remove" ;;
	esac
	without_holds echo "$1" >"$2" &
	asked=$!
}

# hold_device BACKEND
hold_device()
{
	if [[ $1 == iommufd ]]; then
		hold client bob iommuctl run --backend=iommufd "$HOT" -- \
			edu-dma --hold --device '{device}' --iommu '{iommu}'
	else
		hold client bob iommuctl run --backend=legacy "$HOT" -- \
			edu-dma --hold --container '{container}' --group '{group}' --device '{device}' --address "$HOT"
	fi
	wait_held client holding
}

# finish HOW: what was asked for has happened; $HOT is there again
finish()
{
	[[ -z $asked ]] || wait "$asked"
	if [[ $1 == unbind ]]; then
		assert_driver "$HOT" none
		return
	fi
	wait_no_device "$HOT"
	if [[ $1 == device_del ]]; then
		plug
	else
		echo 1 >/sys/bus/pci/rescan
		wait_device "$HOT"
	fi
}

plug
allow 50-bob bob "$HOT"
for backend in iommufd legacy; do
	for how in device_del unbind remove; do
		watch_events
		hold_device "$backend"
		ask "$how"
		event=$(wait_event '"deviceRequested"')
		assert_contains "$event" "$HOT"
		assert_contains "$event" '"uid":1001'
		wait_event '"releaseRequested"*'"the kernel asks for $HOT" >/dev/null
		# It waits, and so does the lease's end.
		[[ -d /sys/bus/pci/devices/$HOT ]]
		expect_fail grep '"leaseReleased"' "$events"
		let_go client
		wait_event '"leaseReleased"*'"$HOT" >/dev/null
		expect_fail grep restoreFailed "$events"
		unwatch_events
		finish "$how"
		wait_idle
	done
done

# By OnViolation=log it is only told, and the client may take its time.
allow 50-bob bob "$HOT" OnViolation=log
watch_events
hold_device iommufd
ask unbind
wait_event '"deviceRequested"*'"$HOT" >/dev/null
assert_eq active "$(state_of "$HOT")" "state"
let_go client
wait_event '"leaseReleased"*'"$HOT" >/dev/null
expect_fail grep '"releaseRequested"' "$events"
finish unbind
wait_idle
host-monitor --event DEVICE_DELETED "device_del hot"
wait_no_device "$HOT"
