# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 300
#
# Mdevs, of the kernel's sample parent mtty: leased by both backends and used, given back, and joined by Isolation=shared.

. /payload/guest/iommud.sh
start_iommud

first=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
second=83b8f4f2-509f-382f-3c1e-e6bfe0fa1002
mdevs=/sys/bus/mdev/devices
type=/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1

create()
{
	echo "$1" >"$type/create"
	udevadm wait --initialized=no --timeout=30 "$mdevs/$1"
}

remove()
{
	[[ ! -e $mdevs/$1 ]] || echo 1 >"$mdevs/$1/remove"
}

mdev_driver()
{
	basename "$(readlink "$mdevs/$1/driver")"
}

modprobe mtty
defer modprobe -r mtty
defer remove "$first"
defer remove "$second"
create "$first"
create "$second"

# own: the default; shared: by the rule
set_isolation()
{
	{
		printf '[Match]\nAddress=%s\n[Client]\nUser=bob\n[Grant]\nAction=allow\n%s\n' "$first" "$1"
		printf '[Match]\nAddress=%s\n[Client]\nUser=carol\n[Grant]\nAction=allow\n' "$second"
	} | set_policy 90-mdev
}
set_isolation ''

# What it is: no bus has its ids, its group is vfio's own, and that is no no-IOMMU group.
shown=$(as bob iommuctl describe --json=short "$first")
assert_contains "$shown" '"bus":"mdev"'
assert_contains "$shown" '"parent":"mtty"'
assert_contains "$shown" '"driver":"mtty"'
assert_contains "$shown" '"viable":true'
assert_eq vfio-noiommu "$(<"$mdevs/$first/iommu_group/name")" "name of the mdev's group"
explained=$(as bob iommuctl explain --json=short "$first")
assert_contains "$explained" '"allowed":true'
assert_contains "$explained" "$first is removed, which waits for the last descriptor, and made again by mtty"

# By both backends, and used. Each lease ends with the mdev made again.
node=$(stat -L -c %i "$mdevs/$first")
# shellcheck disable=SC1083
as bob iommuctl run --backend=iommufd "$first" -- vfio-io --echo --device {device} --iommu {iommu}
wait_idle
udev_settle
assert_eq mtty "$(mdev_driver "$first")" "driver after the lease"
[[ $(stat -L -c %i "$mdevs/$first") != "$node" ]] || fail "the mdev was not made again"
# shellcheck disable=SC1083
as bob iommuctl run --backend=legacy "$first" -- vfio-io --echo --device {device} --container {container} --group {group}
wait_idle
udev_settle
assert_eq mtty "$(mdev_driver "$first")" "driver after the second lease"
[[ -z $(compgen -G "/run/iommud-helper/mdev-*") ]] || fail "a note was left behind"

# Isolation=own: two clients, two mdevs of one parent, at the same time.
# shellcheck disable=SC1083
hold one bob iommuctl run "$first" -- vfio-io --echo --hold --device {device} --iommu {iommu}
wait_held one holding
# shellcheck disable=SC1083
as carol iommuctl run "$second" -- vfio-io --echo --device {device} --iommu {iommu}
let_go one
wait_idle

# Isolation=shared: they are one group, so the rule has to admit more than one, the client to know, and the other to wait.
set_isolation $'Isolation=shared'
error=$(expect_fail as bob iommuctl acquire "$first" 2>&1 </dev/null)
assert_contains "$error" "shares its parent mtty with 1 more"
set_isolation $'Isolation=shared\nGroupScope=whole'
error=$(expect_status 3 as bob iommuctl acquire "$first" 2>&1 </dev/null)
assert_contains "$error" "$second"
# shellcheck disable=SC1083
hold one bob iommuctl run --yes "$first" -- vfio-io --echo --hold --device {device} --iommu {iommu}
wait_held one holding
error=$(expect_status 4 as carol iommuctl acquire "$second" 2>&1 </dev/null)
assert_contains "$error" "the mdevs of mtty go to one lease"
assert_contains "$(as carol iommuctl describe --json=short "$second")" "\"joinedWith\":[\"$first\"]"
let_go one
wait_idle

# The other way round: who has the second keeps it, and the first is not joined with what others have.
hold_lease two carol "$second"
error=$(expect_status 4 as bob iommuctl acquire --yes "$first" 2>&1 </dev/null)
assert_contains "$error" "the mdevs of mtty go to one lease"
let_go two
wait_idle

# The administrator removes it while it is leased. That waits, and the client has it to the end.
set_isolation ''
# shellcheck disable=SC1083
hold one bob iommuctl run "$first" -- vfio-io --echo --hold --device {device} --iommu {iommu}
wait_held one holding
# Not with the client's stdin, which would never end then.
(
	fd=${hold_fd[one]}
	exec {fd}>&-
	remove "$first"
) &
remover=$!
# No event says that a removal has begun, but that the mdev is off its bus.
while [[ -e $mdevs/$first ]]; do :; done
kill -0 "$remover" || fail "the removal did not wait for the client"
let_go one
wait "$remover"
wait_idle
# It was somebody else who removed it: it is not made again.
[[ ! -e $mdevs/$first ]] || fail "the mdev came back after its removal"
