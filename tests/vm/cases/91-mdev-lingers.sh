# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# An mdev whose descriptors are out when its lease ends: it is removed when the last of them is closed, and not before, and made
# again, also when the helper is killed in between with the process that waits.

. /payload/guest/iommud.sh
start_iommud

mdev=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
folder=/sys/bus/mdev/devices/$mdev
note=/run/iommud-helper/mdev-$mdev

remove()
{
	[[ ! -e $folder ]] || echo 1 >"$folder/remove"
}

modprobe mtty
defer modprobe -r mtty
defer remove
echo "$mdev" >/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/create
set_policy 91-mdev <<END
[Match]
Address=$mdev
[Client]
User=bob carol
[Grant]
Action=allow
END

# lingers COMMAND...: is run while a third process has the mdev's descriptors, after the end of their lease
lingers()
{
	watch_events
	mark_journal
	hold client bob iommuctl run --backend=iommufd "$mdev" -- \
		keep-fds '{device}' '{iommu}' -- vfio-io --echo --hold --device '{device}' --iommu '{iommu}'
	wait_held client holding
	wait "${holder[client]}"
	wait_event '"leaseLingering"*'"$mdev" >/dev/null
	assert_contains "$(iommuctl status)" lingering
	expect_fail as carol iommuctl acquire "$mdev" </dev/null
	assert_eq 'mtty mtty-1' "$(<"$note")" "what is noted of the way back"
	"$@"
	let_go client
	wait_event '"leaseReleased"*'"$mdev" >/dev/null
	unwatch_events
	udev_settle
	assert_eq mtty "$(basename "$(readlink "$folder/driver")")" "driver of the mdev"
	[[ ! -e $note ]] || fail "the note was left behind"
	as carol iommuctl run "$mdev" -- vfio-io --echo --device '{device}' --iommu '{iommu}'
	wait_idle
}

kill_helper()
{
	systemctl kill --signal=KILL iommud-helper
	wait_journal 'iommud-helper is gone' -u iommud >/dev/null
}

lingers true
lingers kill_helper
