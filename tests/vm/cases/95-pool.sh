# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# A pool of two real devices, an nvme and edu, for three clients and more: each gets another device, the third waits until
# the first gives back, two who wait get it in the order in which they asked, and a wait has an end.

. /payload/guest/iommud.sh
start_iommud

set_policy 50-pool <<-END
	[Match]
	Address=$EDU $NVME
	[Pool]
	Name=two
	[Client]
	User=bob carol
	[Grant]
	Action=allow
END

# event_number PATTERN: of the line of $events that has it
event_number()
{
	grep -n -m 1 -- "$1" "$events" | cut -d: -f1
}

# device_of NAME: what the holder of that name got
device_of()
{
	sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$state/$1.out"
}

assert_contains "$(iommuctl list --json=short)" '"pools":["two"]'
watch_events

# Each gets another one, in the order of addresses.
hold_lease first bob --pool=two
hold_lease second carol --pool=two
assert_eq "$EDU" "$(device_of first)" "the first one's device"
assert_eq "$NVME" "$(device_of second)" "the second one's device"
assert_driver "$EDU" vfio-pci
assert_driver "$NVME" vfio-pci

# There is no third: who does not wait is told so, and who waits is told when the time is over.
expect_status 4 as carol iommuctl acquire --pool=two </dev/null
expect_status 6 as carol iommuctl acquire --pool=two --wait=1 </dev/null
expect_status 1 as carol iommuctl acquire --pool=three </dev/null
expect_status 3 as alice iommuctl acquire --pool=two </dev/null

# Two wait, in this order, and get what is given back in this order.
: >"$events"
hold third bob iommuctl acquire --json=short --pool=two --wait=600
wait_event '"leaseWaiting"*"uid":'"$(id -u bob)" >/dev/null
hold fourth carol iommuctl acquire --json=short --pool=two --wait=600
wait_event '"leaseWaiting"*"uid":'"$(id -u carol)" >/dev/null
let_go second
wait_held third '"lease":' >/dev/null
assert_eq "$NVME" "$(device_of third)" "what the second gave back is the third's"
assert_eq "" "$(device_of fourth)" "the fourth still waits"
let_go first
wait_held fourth '"lease":' >/dev/null
assert_eq "$EDU" "$(device_of fourth)" "what the first gave back is the fourth's"

wait_event '"leaseGranted"*"'"$EDU"'"' >/dev/null
granted_third=$(event_number '"leaseGranted".*"uid":'"$(id -u bob)")
released_first=$(event_number '"leaseReleased".*"'"$EDU"'"')
granted_fourth=$(event_number '"leaseGranted".*"uid":'"$(id -u carol)")
[[ $granted_third -lt $released_first && $released_first -lt $granted_fourth ]] ||
	fail "granted to the third in event $granted_third, given back by the first in $released_first, granted to the" \
		"fourth in $granted_fourth"
unwatch_events

# It does DMA like one that was asked for by name: there is one device in the pool for bob when the others are out.
let_go fourth
wait_held third '"lease":' >/dev/null
# shellcheck disable=SC2016
assert_contains "$(as bob iommuctl run --pool=two --wait=60 --backend=iommufd -- \
	sh -c 'echo "on $IOMMUD_DEVICE_0"; exec edu-dma --device "$1" --iommu "$2"' x '{device}' '{iommu}')" "on $EDU"

# Who is killed while it waits is forgotten.
hold fifth carol iommuctl acquire --json=short "$NVME" --wait=600
mark_journal
slay fifth
wait_journal 'went away while it waited' -u iommud IOMMUD_EVENT=waitAbandoned
let_go third
wait_idle
assert_driver "$NVME" nvme
assert_driver "$EDU" none
