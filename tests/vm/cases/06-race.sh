# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: race
# root: debian
# timeout: 3600
#
# Root binds e1000 to a member of a group, as fast as it can, while another member of it is leased again and again. With the
# kernel module it is never bound between the grant of a lease and its end, and every lease can be used; without, the same
# is counted. `make soak` does it with 500 leases and 100, which take long; otherwise it is 10 of each.

. /payload/guest/iommud.sh
start_iommud
with=10 without=10
[[ -z $SOAK ]] || with=500 without=100
set_policy 50-slot <<END
[Match]
Address=0000:00:07.*
[Client]
User=bob
[Grant]
Action=allow
GroupScope=whole
OnViolation=log
END
unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle

# count_race LEASES: sets $told, and $status
count_race()
{
	local token

	token=$(iommuctl explain --json=short --as=bob "$MF_EDU" | sed -n 's/.*"token":"\([0-9a-f]*\)".*/\1/p')
	watch_events
	status=0
	told=$(race "$1" "$(id -u bob)" "$MF_EDU" "$token" "$MF_NIC" e1000) || status=$?
	wait_idle
	unwatch_events
	told+="; $(grep -c '"violation"' "$events" || true) violations told"
}

set_config <<<$'[Kernel]\nKernelModule=require'
count_race "$with"
note "with the module: $told"
assert_eq 0 "$status" "exit status of the race with the module"
assert_contains "$told" "; 0 violations told"
assert_driver "$MF_NIC" none

# Nothing is promised here but that the daemon answers.
drop_config
without_module
count_race "$without"
note "without the module: $told"
[[ $status -eq 0 || $status -eq 3 ]] || fail "the race without the module ended with $status"
