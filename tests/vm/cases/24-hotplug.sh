# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# A device that is plugged in can be leased, and one that is pulled is gone; nobody has to tell iommud.

. /payload/guest/iommud.sh
start_iommud
allow 50-bob bob "$HOT"
watch_events
before=$(iommuctl list --no-legend)
[[ $before != *"$HOT"* ]]

host-monitor "device_add edu,id=hot,bus=rp-hot"
wait_event '"deviceAdded"*'"$HOT" >/dev/null
assert_contains "$(iommuctl list)" "$HOT"
assert_contains "$(as bob iommuctl groups)" "$HOT"
wait_device "$HOT"
as bob iommuctl run "$HOT" -- edu-dma --device '{device}' --iommu '{iommu}'
wait_event '"leaseReleased"*'"$HOT" >/dev/null
assert_driver "$HOT" none
assert_eq none "$(override_of "$HOT")" "override"

host-monitor --event DEVICE_DELETED "device_del hot"
wait_event '"deviceRemoved"*'"$HOT" >/dev/null
assert_eq "$before" "$(iommuctl list --no-legend)" "the list, as before"
expect_status 1 as bob iommuctl acquire "$HOT" </dev/null

# Another one at the same place, which somebody has when it is pulled: the client is to let go first.
host-monitor "device_add edu,id=hot,bus=rp-hot"
wait_device "$HOT"
hold client bob iommuctl run "$HOT" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held client holding
host-monitor "device_del hot"
let_go client
wait_no_device "$HOT"
wait_idle
assert_eq "$before" "$(iommuctl list --no-legend)" "the list, as before"
