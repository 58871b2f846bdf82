# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 300
#
# A worker in D state keeps neither service from stopping, nor from starting again; the new ones serve others, and wait for
# it with what is its. More of them than there may be are told by name.

. /payload/guest/iommud.sh
start_iommud
set_config <<END
[Helper]
WorkerTimeoutSec=10
MaxWorkers=2
END
set_policy 63-both <<END
[Match]
Address=$NIC $EDU $NVME
[Client]
User=bob carol
[Grant]
Action=allow
END
mark_journal
block_remove "$NIC" "$NVME"
call_acquire first bob "$NIC"
wait_blocked "$NIC"
worker=$(pgrep -x iommud-worker)
assert_contains "$(<"/proc/$worker/stat")" "(iommud-worker) D "

# Both stop while it blocks, and leave it alone.
systemctl stop iommud iommud-helper
assert_blocked "$NIC"
for unit in iommud iommud-helper; do
	assert_eq inactive "$(systemctl show -p ActiveState --value $unit)" "state of $unit"
	assert_eq success "$(systemctl show -p Result --value $unit)" "result of $unit"
done
assert_contains "$(<"/proc/$worker/stat")" "(iommud-worker) D "
! wait "${asker[first]}" || fail "the blocked device was granted"

# The new ones know of it, and serve others.
systemctl start iommud
assert_blocked "$NIC"
watch_events
as carol iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
wait_event '"leaseReleased"*'"$EDU" >/dev/null
[[ $(state_of "$NIC") != free ]] || fail "$NIC is shown as free"
call_acquire again carol "$NIC"
! wait "${asker[again]}" || fail "the blocked device was granted"
assert_contains "$(<"$state/again.answer")" io.iommud.DeviceBusy

# A second one: now there are as many as there may be. Who is refused for that is told why.
call_acquire second bob "$NVME"
wait_blocked "$NVME"
! wait "${asker[second]}" || fail "the blocked device was granted"
assert_contains "$(<"$state/second.answer")" io.iommud.TimedOut
call_acquire third carol "$EDU"
! wait "${asker[third]}" || fail "there was a worker left"
error=$(<"$state/third.answer")
assert_contains "$error" io.iommud.PrepareFailed
assert_contains "$error" '"step":"workers"'
assert_contains "$error" "2 of 2 workers blocked: $NIC at lock, $NVME at unbind"
assert_contains "$error" MaxWorkers=
assert_contains "$(systemctl show -p StatusText --value iommud-helper)" "2 workers blocked: $NIC at lock, $NVME at unbind"
assert_blocked "$NIC"
assert_blocked "$NVME"

# The old worker finishes what it began, then the new one puts it back.
let_remove
wait_idle
unwatch_events
for device in "$NIC" "$NVME"; do
	assert_driver "$device" block-remove
	assert_eq block-remove "$(override_of "$device")" "override of $device"
done
[[ ! -e /proc/$worker ]] || fail "the worker of the former helper is there still"
as carol iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
as bob iommuctl run "$NIC" -- true
wait_idle
assert_driver "$NIC" block-remove

# A worker that is not blocked finishes by itself as well, with nobody there: the next helper finds what it was to do done.
echo Y >/sys/module/block_remove/parameters/blocking
mark_journal
call_acquire last bob "$NIC"
wait_blocked "$NIC"
worker=$(pgrep -x iommud-worker)
systemctl stop iommud iommud-helper iommud-helper.socket
let_remove
tail --pid="$worker" -f /dev/null
assert_driver "$NIC" vfio-pci
systemctl start iommud-helper.socket iommud
wait_journal "$NIC: restore done" -u iommud-helper >/dev/null
assert_driver "$NIC" block-remove
assert_eq block-remove "$(override_of "$NIC")" "override"
