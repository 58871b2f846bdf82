# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 3000
#
# Root binds e1000 to a member of a group, as fast as it can, while another member of it is leased 500 times. With the
# kernel module it is never bound between the grant of a lease and its end, and every lease can be used; without, the same
# is counted.

. /payload/guest/iommud.sh
start_iommud
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

# race_with MODE LEASES: sets $told, and $status
race_with()
{
	local token

	printf '[Kernel]\nKernelModule=%s\n' "$1" | set_config
	token=$(iommuctl explain --json=short --as=bob "$MF_EDU" | sed -n 's/.*"token":"\([0-9a-f]*\)".*/\1/p')
	watch_events
	status=0
	told=$(race "$2" "$(id -u bob)" "$MF_EDU" "$token" "$MF_NIC" e1000) || status=$?
	wait_idle
	unwatch_events
	told="KernelModule=$1: $told; $(grep -c '"violation"' "$events" || true) violations told"
	note "$told"
	drop_config
}

race_with require 20
assert_eq 0 "$status" "exit status of the race with the module"
assert_contains "$told" "; 0 violations told"
assert_driver "$MF_NIC" none

race_with off 20
[[ $status -eq 0 || $status -eq 3 ]] || fail "the race without the module ended with $status"
