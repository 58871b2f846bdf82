# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# A descriptor can't be taken back: a client passes its device's to a process of another user, and releases. As long as it is
# open, there is no next lease, so nobody can bind it under one; once it is closed, there is nothing left to bind.

. /payload/guest/iommud.sh
start_iommud
set_policy 50-three <<END
[Match]
Address=$EDU
[Client]
User=root alice bob
[Grant]
Action=allow

[Match]
Address=$NIC
[Client]
User=carol
[Grant]
Action=allow
END

# take_over: bob leases the device and passes its unbound descriptor to carol's process, which has an iommufd of her own
take_over()
{
	local shared

	shared=$(mktemp -d)
	chmod 777 "$shared"
	defer rm -r "$shared"
	hold carol carol iommuctl run --backend=iommufd "$NIC" -- pass-fd --take "$shared/socket" '{iommu}'
	wait_held carol listening >/dev/null
	# shellcheck disable=SC2016
	hold bob bob iommuctl run --backend=iommufd "$EDU" -- sh -c 'pass-fd "$0" "$1" && echo passed && cat' \
		"$shared/socket" '{device}'
	wait_held carol taken >/dev/null
	wait_held bob passed >/dev/null
}

# try_to_bind: what comes of carol's next attempt
try_to_bind()
{
	: >"$state/carol.out"
	echo >&"${hold_fd[carol]}"
	wait_held carol ''
}

# nobody_else: alice is refused, and root is told by whom it is held
nobody_else()
{
	local status=0 error

	error=$(as alice iommuctl acquire "$EDU" 2>&1 </dev/null) || status=$?
	assert_eq 4 "$status" "exit status of the next client"
	assert_contains "$error" lingering
	assert_contains "$(expect_fail iommuctl acquire "$EDU" 2>&1 </dev/null)" "(pass-fd)"
	assert_contains "$(iommuctl status)" "(pass-fd)"
}

# goes_on: carol's process closes it, and only then it is alice's
goes_on()
{
	let_go carol
	wait_event '"leaseReleased"*'"$EDU" >/dev/null
	wait_idle
	assert_driver "$EDU" none
	as alice iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
	wait_idle
	unwatch_events
}

# Never bound. What carol could not do before, she can't do later, for there is no later.
watch_events
take_over
let_go bob
wait_event '"leaseLingering"*'"$EDU" >/dev/null
assert_eq lingering "$(state_of "$EDU")" "state"
nobody_else
goes_on

# With the kernel module the group stays claimed while the lease lingers: she can't begin to use it.
watch_events
take_over
let_go bob
wait_event '"leaseLingering"*'"$EDU" >/dev/null
assert_eq EPERM "$(try_to_bind)" "an attempt under the claim"
nobody_else
goes_on

# Without it the kernel lets her: it only waits for the descriptor. The device is hers as long as nobody else has it, which is
# what SECURITY.md says of it, and not for longer.
without_module
watch_events
take_over
let_go bob
wait_event '"leaseLingering"*'"$EDU" >/dev/null
assert_eq bound "$(try_to_bind)" "the first attempt while the lease lingers"
nobody_else
goes_on
