# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# Leases are taken back: from clients that obey the event or VFIO's request interrupt, and from one that ignores both, by each
# policy. The device is back on its driver every time.

. /payload/guest/iommud.sh
start_iommud

# rule LINE...: for bob and the NIC
rule()
{
	allow 70-bob bob "$NIC" "$@"
}

# take NAME COMMAND ARG...: bob runs it with the NIC, and it is ready; the lease's number is in $lease
take()
{
	local name=$1

	shift
	watch_events
	hold "$name" bob iommuctl run "${backend[@]}" "$NIC" -- "$@"
	wait_held "$name" ready >/dev/null
	lease=$(wait_event '"leaseGranted"*'"$NIC")
	lease=${lease#*'"lease":'}
	lease=${lease%%,*}
}

# is_back: the lease has come to its end, and the NIC to its driver
is_back()
{
	wait_event '"leaseReleased"*"lease":'"$lease," >/dev/null
	unwatch_events
	assert_driver "$NIC" e1000e
	assert_eq none "$(override_of "$NIC")" "override"
	assert_eq free "$(state_of "$NIC")" "state"
}

# has_ended STATUS: the client does by itself, with this exit status
has_ended()
{
	local fd=${hold_fd[client]}

	reap client
	exec {fd}>&-
	assert_eq "$1" "$ended" "exit status of the client"
}

by_iommufd=(--device '{device}' --iommu '{iommu}')
# shellcheck disable=SC2034 # by reference
by_legacy=(--device '{device}' --container '{container}' --group '{group}')

# ---- clients that obey ----

rule

# By the event, on the connection of the lease.
watch_events
hold_lease client bob "$NIC" 2>"$state/said"
expect_status 3 as bob iommuctl revoke "$lease"
iommuctl revoke --reason='the card is wanted' "$lease"
assert_contains "$(wait_event '"releaseRequested"')" 'the card is wanted'
has_ended 0
assert_contains "$(<"$state/said")" 'is taken back: the card is wanted; the descriptors of its devices are to be closed within 30 s'
is_back
expect_status 1 iommuctl revoke "$lease"

# By the interrupt: the program knows nothing of iommud.
for way in iommufd legacy; do
	declare -n numbers=by_$way
	backend=(--backend="$way")
	take client wait-request "${numbers[@]}"
	iommuctl revoke "$lease"
	wait_held client requested >/dev/null
	has_ended 0
	is_back
	expect_fail grep -q clientSignalled "$events"
done
backend=()

# ---- one that does not ----

# ignored COMMAND...: it keeps the NIC, though it was asked both ways; its pid is in $pid
ignored()
{
	take client "$@" wait-request --keep "${by_iommufd[@]}"
	pid=${holder[client]}
	iommuctl revoke "$lease"
	wait_held client requested >/dev/null
}

rule ReleaseTimeoutSec=1 OnReleaseTimeout=leave
ignored env
event=$(wait_event '"releaseIgnored"')
assert_contains "$event" "pid $pid (wait-request)"
assert_contains "$event" '"uid":1001'
assert_eq lingering "$(state_of "$NIC")" "state"
assert_contains "$(iommuctl status)" "pid $pid (wait-request)"
kill -0 "$pid"
let_go client
assert_eq 0 "$ended" "exit status of the client that was left alone"
is_back
expect_fail grep -q clientSignalled "$events"

rule ReleaseTimeoutSec=1 OnReleaseTimeout=terminate
ignored env
assert_contains "$(wait_event '"clientSignalled"')" "pid $pid of uid 1001 was sent SIGTERM"
has_ended 143
is_back

# Ignored signals stay ignored in what a shell becomes.
# shellcheck disable=SC2016
ignored sh -c 'trap "" TERM; exec "$@"' sh
wait_event '"clientSignalled"*SIGTERM' >/dev/null
wait_event '"releaseIgnored"' >/dev/null
kill -0 "$pid"
let_go client
is_back

rule ReleaseTimeoutSec=1 OnReleaseTimeout=kill
# shellcheck disable=SC2016
ignored sh -c 'trap "" TERM; exec "$@"' sh
wait_event '"clientSignalled"*SIGTERM' >/dev/null
wait_event '"clientSignalled"*SIGKILL' >/dev/null
has_ended 137
is_back
wait_idle
