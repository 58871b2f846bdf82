# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 180
#
# Users whom [Manage] names: alice takes bob's lease back, sees all leases and has the policy loaded; carol may nothing of that,
# and alice no more once the policy says so.

. /payload/guest/iommud.sh
start_iommud

# has_ended: the client of a lease that was taken back does by itself
has_ended()
{
	local fd=${hold_fd[client]}

	reap client
	exec {fd}>&-
	assert_eq 0 "$ended" "exit status of the client"
}

file=$policy_dir/97-manage.policy
defer drop_policy 97-manage

# rules [LINE...]: bob may have the EDU; not in force yet
rules()
{
	printf '%s\n' '[Match]' "Address=$EDU" '[Client]' User=bob '[Grant]' Action=allow "$@" >"$file"
}

rules '[Manage]' User=alice 'Allow=reload revoke list-leases'
said=$(iommuctl reload)
assert_contains "$said" "1 rule in force, digest "

# Both daemons have it: what was just allowed is moved by the helper.
watch_events
hold_lease client bob "$EDU"
assert_driver "$EDU" vfio-pci

# ---- who may not ----

for verb in reload "revoke $lease" "status --all"; do
	status=0
	# shellcheck disable=SC2086
	error=$(as carol iommuctl $verb 2>&1) || status=$?
	assert_eq 3 "$status" "exit status of $verb"
	assert_contains "$error" "uid 1002 may not"
	assert_contains "$error" "[Manage]"
done
error=$(expect_fail as carol varlinkctl call /run/iommud/io.iommud io.iommud.Manage.Revoke "{\"lease\":$lease}" 2>&1)
assert_contains "$error" io.iommud.Manage.NotAllowed
assert_contains "$(as carol iommuctl status)" "No leases."
assert_eq active "$(state_of "$EDU")" "state"

# ---- who may ----

assert_contains "$(as alice iommuctl status)" "No leases."
assert_contains "$(as alice iommuctl status --all)" "$EDU"
as alice iommuctl revoke "$lease"
event=$(wait_event '"releaseRequested"')
assert_contains "$event" "uid 1000, who may manage, wants it back"
wait_event '"leaseReleased"' >/dev/null
has_ended
wait_idle
assert_driver "$EDU" none

# ---- a set that is wrong ----

rules '[Manage]' User=alice Allow=everything
status=0
error=$(as alice iommuctl reload 2>&1) || status=$?
assert_eq 1 "$status" "exit status of reload"
assert_contains "$error" "the former one, with 1 rules, stays in force"
assert_contains "$error" "$file:9:7: error: Allow takes reload, revoke and list-leases, not 'everything'"

# ---- and no more ----

rules
as alice iommuctl reload
for verb in reload "revoke 1" "status --all"; do
	# shellcheck disable=SC2086
	expect_status 3 as alice iommuctl $verb
done
# The signal goes on to load it, too.
rules '[Manage]' Group=alice Allow=reload
mark_journal
systemctl reload iommud
wait_journal 'policy loaded' -u iommud >/dev/null
as alice iommuctl reload
expect_status 3 as alice iommuctl revoke 1
as bob iommuctl run "$EDU" -- true
wait_idle
