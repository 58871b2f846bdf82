# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# An unprivileged user does DMA with the descriptors of the backend legacy; driver and override are then as they were.

. /payload/guest/iommud.sh
start_iommud
allow 50-bob bob "$EDU"

# use: DMA by bob, from the command line to the end of the lease
use()
{
	watch_events
	assert_contains "$(as bob iommuctl run --backend=legacy "$EDU" -- \
		edu-dma --container '{container}' --group '{group}' --device '{device}' --address "$EDU")" "DMA ok: 4096 bytes"
	wait_event '"leaseReleased"*'"$EDU" >/dev/null
	unwatch_events
	assert_eq free "$(state_of "$EDU")" "state"
}

assert_driver "$EDU" none
use
assert_driver "$EDU" none
assert_eq none "$(override_of "$EDU")" "override"

# The administrator had it on vfio-pci before: there it stays.
bind_driver "$EDU" vfio-pci
use
assert_driver "$EDU" vfio-pci
assert_eq vfio-pci "$(override_of "$EDU")" "the administrator's override"
use
assert_driver "$EDU" vfio-pci
assert_eq vfio-pci "$(override_of "$EDU")" "the administrator's override"
