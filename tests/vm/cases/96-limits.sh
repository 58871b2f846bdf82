# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 300
#
# What a rule limits: how much its client may pin, by process or by user; how many leases a user has; and for how long.

. /payload/guest/iommud.sh
start_iommud
limit=8388608 # of a shell, in bytes: 8 MiB

# with_limit COMMAND ARG...: as bob, with that limit
with_limit()
{
	prlimit "--memlock=$limit:$limit" setpriv --reuid=bob --regid=bob --init-groups --reset-env "$@"
}

# pin NAME DEVICE MIB: bob holds it, and pins as much or says "failed"
pin()
{
	# shellcheck disable=SC2016
	hold "$1" bob prlimit "--memlock=$limit:$limit" iommuctl run --backend=iommufd "$2" -- \
		sh -c 'pin-memory "$0" "$1" "$2" 2>&1 || echo failed' '{device}' '{iommu}' "$3"
}

# fails_to_pin NAME
fails_to_pin()
{
	wait_held "$1" failed >/dev/null
	assert_contains "$(<"$state/$1.out")" "Cannot allocate memory"
}

# Without the key, the limit is what the client was started with.
allow 50-limits bob "$EDU $NIC"
pin first "$EDU" 24
fails_to_pin first
let_go first
wait_idle

# With it, the client may pin as much, with either backend; and what is higher stays.
allow 50-limits bob "$EDU $NIC" MemlockLimit=32M
pin first "$EDU" 24
wait_held first "pinned 24 MiB" >/dev/null
assert_contains "$(<"$state/first.out")" "RLIMIT_MEMLOCK is 33554432, at most 33554432"
# The kernel counts by user: what the other process has pinned is held against this one.
pin second "$NIC" 24
fails_to_pin second
let_go first
let_go second
wait_idle
for backend in iommufd legacy; do
	assert_eq 32768 "$(with_limit iommuctl run --backend=$backend "$EDU" -- sh -c 'ulimit -l')" "$backend: in KiB"
	wait_idle
done
limit=67108864
assert_eq 65536 "$(with_limit iommuctl run "$EDU" -- sh -c 'ulimit -l')" "a higher limit"
limit=8388608
wait_idle

# By process, each has its own.
allow 50-limits bob "$EDU $NIC" MemlockLimit=32M RlimitMode=mm
pin first "$EDU" 24
wait_held first "pinned 24 MiB" >/dev/null
pin second "$NIC" 24
wait_held second "pinned 24 MiB" >/dev/null
let_go first
let_go second
wait_idle
# And no more than that.
pin first "$EDU" 40
fails_to_pin first
let_go first
wait_idle

# auto is the machine's memory.
allow 50-limits bob "$EDU $NIC" MemlockLimit=auto RlimitMode=mm
memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo)
assert_eq "$memory" "$(with_limit iommuctl run "$EDU" -- sh -c 'ulimit -l')" "auto, in KiB"
wait_idle
assert_contains "$(as bob iommuctl explain "$EDU")" "MemlockLimit=auto: RLIMIT_MEMLOCK of the client is raised to at least"
assert_contains "$(as bob iommuctl explain --backend=legacy "$EDU")" "RlimitMode=mm changes nothing"

# A user gets no more by a rule than it says; another one has limits of his own.
allow 50-limits "bob alice" "$EDU $NIC" MaxLeases=1
hold_lease first bob "$EDU"
refused=$(as bob iommuctl acquire "$NIC" 2>&1 </dev/null || true)
assert_contains "$refused" "MaxLeases=1"
assert_contains "$refused" "$policy_dir/50-limits.policy:1"
hold_lease second alice "$NIC"
let_go second
let_go first
wait_idle

# When its time is over a lease is taken back: the client is asked, and this one obeys.
allow 50-limits bob "$EDU" MaxLeaseSec=2 OnReleaseTimeout=kill ReleaseTimeoutSec=1
watch_events
hold_lease first bob "$EDU"
assert_contains "$(as bob iommuctl status)" EXPIRES
asked=$(wait_event '"releaseRequested"')
assert_contains "$asked" "its time is over, by MaxLeaseSec=2 in $policy_dir/50-limits.policy:1"
wait_event '"leaseReleased"' >/dev/null
unwatch_events
let_go first
assert_eq free "$(state_of "$EDU")" "state"
