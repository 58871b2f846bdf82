# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 300
#
# A driver's remove() does not come back. Nobody but its client notices, which the order of events shows, and the client is
# told who has the device. When the driver lets go at last, everything is as it was.

. /payload/guest/iommud.sh
start_iommud
set_config <<END
[Helper]
WorkerTimeoutSec=10
END
set_policy 62-both <<END
[Match]
Address=$NIC $EDU $NVME
[Client]
User=bob carol
[Grant]
Action=allow
END
mark_journal
block_remove "$NIC"

# Somebody has the driver's node open. The driver takes it away before it waits, so that sysfs does not show it any more.
exec {node}<"/dev/block-remove-$NIC"
sleep infinity &
keeper=$!
exec {node}<&-
defer kill "$keeper"
named="pid $keeper (sleep)"

watch_events
call_acquire blocked bob "$NIC"
wait_blocked "$NIC"

# Others get, use and give back their devices, at the same time, and everything is answered.
for round in 1 2 3; do
	as bob iommuctl run "$NVME" -- true &
	other=$!
	as carol iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
	wait "$other"
	[[ $(iommuctl list) == *"$NIC"* && $(iommuctl groups) == *"$NIC"* ]] || fail "round $round: the lists"
	assert_contains "$(iommuctl describe "$NIC")" "$NIC"
	assert_contains "$(iommuctl status)" "$NIC"
	as carol iommuctl explain "$NIC" || assert_eq 4 $? "exit status of explain in round $round"
done
assert_blocked "$NIC"

# The client was told who, and at what, within its time.
status=0
wait "${asker[blocked]}" || status=$?
[[ $status -ne 0 ]] || fail "the blocked device was granted"
error=$(<"$state/blocked.answer")
assert_contains "$error" io.iommud.TimedOut
assert_contains "$error" '"step":"unbind"'
assert_contains "$error" "\"device\":\"$NIC\""
assert_contains "$error" "\"holders\":[\"$named\"]"
assert_contains "$error" "driver block-remove did not let go of it"
wait_event '"leaseLingering"*'"$NIC" >/dev/null
assert_contains "$(systemctl show -p StatusText --value iommud-helper)" "1 worker blocked: $NIC at unbind"

# It is not free meanwhile. To whom it was not given, nobody's processes are named.
assert_eq lingering "$(state_of "$NIC")" "state"
call_acquire again bob "$NIC"
! wait "${asker[again]}" || fail "the blocked device was granted"
error=$(<"$state/again.answer")
assert_contains "$error" io.iommud.DeviceBusy
assert_contains "$error" "\"holders\":[\"$named\"]"
assert_contains "$error" "driver block-remove has not let go of $NIC"
call_acquire other carol "$NIC"
! wait "${asker[other]}" || fail "the blocked device was granted"
assert_contains "$(<"$state/other.answer")" '"holders":["driver block-remove"]'

# Not one of the others' events came after the end of the blocked one, for that has not come yet.
assert_blocked "$NIC"
for device in "$EDU" "$NVME"; do
	for event in leaseGranted leaseReleased; do
		assert_eq 3 "$(grep -c "\"$event\".*$device" "$events")" "$event of $device while $NIC blocks"
	done
done
expect_fail grep "leaseReleased.*$NIC" "$events"

let_remove
wait_event '"leaseReleased"*'"$NIC" >/dev/null
unwatch_events
assert_driver "$NIC" block-remove
assert_eq block-remove "$(override_of "$NIC")" "override"
assert_eq free "$(state_of "$NIC")" "state"
as carol iommuctl run "$NIC" -- true
wait_idle
assert_driver "$NIC" block-remove
assert_eq block-remove "$(override_of "$NIC")" "override"
assert_eq Serving "$(systemctl show -p StatusText --value iommud-helper)" "status of the helper"
kill "$keeper"
wait "$keeper" || true
