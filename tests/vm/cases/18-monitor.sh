# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# Root's monitor shows all that happens, a user's only what is theirs to see.

. /payload/guest/iommud.sh
start_iommud
{
	printf '[Match]\nAddress=%s\n[Client]\nUser=alice\n[Grant]\nAction=allow\n' "$EDU"
	printf '[Match]\nAddress=%s\n[Client]\nUser=bob\n[Grant]\nAction=allow\n' "$NIC"
} | set_policy 50-two

# user_watches USER: into $state/USER.events
user_watches()
{
	: >"$state/$1.events"
	spawn_as "$1" iommuctl monitor --json >>"$state/$1.events"
	wait_line "$state/$1.events" '"subscribed"' 20 >/dev/null
}
watch_events
user_watches bob
user_watches carol

# First what bob must not see, then what bob sees: had the former come, it would be in front.
as alice iommuctl run "$EDU" -- true
wait_event '"leaseReleased"*"uid":1000' >/dev/null
expect_status 3 as alice iommuctl acquire "$NIC"
wait_event '"leaseDenied"*"uid":1000' >/dev/null
as bob iommuctl run "$NIC" -- true
wait_event '"leaseReleased"*"uid":1001' >/dev/null
wait_line "$state/bob.events" '"leaseReleased"' 20 >/dev/null
systemctl reload iommud
wait_event '"policyLoaded"' >/dev/null
wait_line "$state/carol.events" '"policyLoaded"' 20 >/dev/null

seen=$(<"$events")
for event in leaseGranted driverBound driverUnbound verdictChanged leaseReleased leaseDenied; do
	assert_contains "$seen" '"event":"'$event'"'
done
assert_contains "$seen" "$EDU"
assert_contains "$seen" '"uid":1000'

seen=$(<"$state/bob.events")
for event in leaseGranted driverBound verdictChanged leaseReleased; do
	assert_contains "$seen" '"event":"'$event'"'
done
expect_fail grep -E "$EDU"'|"uid":1000|alice' "$state/bob.events"

# carol has no rule: that there is another policy is all that is said.
expect_fail grep -vE '"(subscribed|policyLoaded)"' "$state/carol.events"

# For people, a line each.
iommuctl monitor >"$state/lines" &
wait_line "$state/lines" 'subscribed' 20 >/dev/null
as bob iommuctl run "$NIC" -- true
wait_line "$state/lines" "[0-9][0-9]:[0-9][0-9]:[0-9][0-9] leaseReleased"*"$NIC" 20
