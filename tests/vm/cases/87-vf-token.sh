# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: sriov
# root: debian
# timeout: 300
#
# A physical function that user space has, with virtual functions made under it: they are its user's alone. The legacy
# backend shows the kernel the VF token that they share; where devices are opened by their own nodes, this kernel asks for
# none, and the rule holds all the same.

. /payload/guest/iommud.sh
. /payload/guest/sriov.sh
sriov_begin
echo 1 >/sys/module/vfio_pci/parameters/enable_sriov
defer eval 'echo 0 >/sys/module/vfio_pci/parameters/enable_sriov'
start_iommud
set_policy 50-rules <<END
[Match]
Address=0000:04:*
[Client]
User=alice bob
[Grant]
Action=allow
END

# token_of NAME: that the holder was told
token_of()
{
	sed -n 's/.*"vfToken":"\([0-9a-f-]*\)".*/\1/p' "$state/$1.out"
}

for backend in legacy iommufd; do
	watch_events
	hold_lease parent alice --backend=$backend "$PF"
	token=$(token_of parent)
	assert_eq 36 "${#token}" "length of the token by $backend"
	assert_driver "$PF" vfio-pci

	# The kernel captures them for vfio-pci.
	set_vfs 2
	mapfile -t vfs < <(vf_addresses)
	assert_contains "$(wait_event "\"device\":\"${vfs[0]}\"")" \
		"${vfs[0]} joined group $(group_of "${vfs[0]}"), as a virtual function of $PF, which is leased"
	for vf in "${vfs[@]}"; do
		assert_eq vfio-pci "$(override_of "$vf")" "override of $vf"
		assert_driver "$vf" vfio-pci
	done

	# Another user gets none of them, whichever way.
	for other in legacy iommufd; do
		status=0
		error=$(as bob iommuctl acquire --backend=$other "${vfs[0]}" 2>&1 </dev/null) || status=$?
		assert_eq 4 "$status" "exit status of another user by $other"
		assert_contains "$error" "its physical function $PF is active, held by another user"
	done

	# The same user does, and knows the token.
	hold_lease child alice --backend=$backend "${vfs[0]}"
	assert_eq "$token" "$(token_of child)" "token of a virtual function"
	assert_eq "$token" "$(as alice iommuctl run --backend=$backend "${vfs[1]}" -- sh -c 'echo $IOMMUD_VF_TOKEN_0')"
	let_go child

	if [[ $backend == iommufd ]]; then
		# Nobody has shown the kernel the token then: said, instead of a wait for udev.
		error=$(expect_fail as alice iommuctl acquire --backend=legacy "${vfs[0]}" 2>&1 </dev/null)
		assert_contains "$error" "the kernel wants another VF token for ${vfs[0]}"
	fi

	# They go with the lease.
	let_go parent
	wait_idle
	wait_no_device "${vfs[0]}"
	wait_no_device "${vfs[1]}"
	assert_driver "$PF" nvme
	assert_eq none "$(override_of "$PF")" "override of $PF"
	unwatch_events
done

# A physical function that somebody bound to vfio-pci by hand is in nobody's hands that iommud knows.
bind_driver "$PF" vfio-pci
set_vfs 1
mapfile -t vfs < <(vf_addresses)
status=0
error=$(as alice iommuctl acquire "${vfs[0]}" 2>&1 </dev/null) || status=$?
assert_eq 4 "$status" "exit status for a virtual function of a stray one"
assert_contains "$error" "its physical function $PF is on vfio-pci and leased to nobody"
status=0
error=$(as alice iommuctl acquire "$PF" 2>&1 </dev/null) || status=$?
assert_eq 5 "$status" "exit status for a stray physical function with virtual ones"
set_vfs 0
