# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# A program that is linked with libiommud acquires the device, does DMA in its own process and gives the lease back.

. /payload/guest/iommud.sh
start_iommud
allow 50-bob bob "$EDU"

for backend in iommufd legacy; do
	watch_events
	output=$(as bob lib-dma "$EDU" $backend)
	assert_contains "$output" " by $backend, DMA ok: 4096 bytes"
	assert_contains "$output" released
	wait_event '"leaseReleased"*'"$EDU" >/dev/null
	unwatch_events
	assert_driver "$EDU" none
done

status=0
output=$(as carol lib-dma "$EDU" iommufd) || status=$?
assert_eq 3 "$status" "exit status of who is refused"
assert_contains "$output" "io.iommud.DeniedByPolicy"
