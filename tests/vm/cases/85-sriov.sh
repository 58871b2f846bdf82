# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: sriov
# root: debian
# timeout: 300
#
# A physical function and its virtual functions: NumVFs= has them made, and who may have the one while the other is there.

. /payload/guest/iommud.sh
. /payload/guest/sriov.sh
sriov_begin
start_iommud
set_policy 50-rules <<END
[Match]
Address=0000:04:*
[Client]
User=alice bob
[Grant]
Action=allow
END

n_vfs()
{
	cat "$pf/sriov_numvfs"
}

# ---- NumVFs= ----

# At the start.
mark_journal
printf '[Match]\nAddress=%s\n[Host]\nNumVFs=%s\n' "$PF" "$VF_MAX" >"$policy_dir/40-host.policy"
defer drop_policy 40-host
systemctl restart iommud-helper iommud
wait_journal "$PF has made $VF_MAX virtual functions" -u iommud IOMMUD_EVENT=vfsCreated IOMMUD_DEVICE="$PF"
assert_eq "$VF_MAX" "$(n_vfs)" "virtual functions after the start"
mapfile -t vfs < <(vf_addresses)
udev_settle
description=$(iommuctl describe --json=short "$PF")
for vf in "${vfs[@]}"; do
	assert_contains "$description" "\"$vf\""
	assert_contains "$(iommuctl describe --json=short "$vf")" "\"physicalFunction\":\"$PF\""
	assert_eq "$vf" "$(members_of "$vf")" "group of $vf"
done

# On a reload; and when the driver comes back.
mark_journal
set_vfs 0
systemctl reload iommud
wait_journal 'virtual functions' -u iommud IOMMUD_EVENT=vfsCreated
mark_journal
set_vfs 0
unbind_driver "$PF"
bind_driver "$PF" nvme
wait_journal 'virtual functions' -u iommud IOMMUD_EVENT=vfsCreated
assert_eq "$VF_MAX" "$(n_vfs)" "virtual functions after the driver came back"
set_override "$PF" none

# What has some is left alone, and said so where it is another number.
mark_journal
set_policy 40-host <<END
[Match]
Address=$PF
[Host]
NumVFs=2
END
wait_journal "it has $VF_MAX, not NumVFs=2" -u iommud-helper
assert_eq "$VF_MAX" "$(n_vfs)" "virtual functions with another number in force"

# More than there can be: nothing is made.
mark_journal
set_vfs 0
set_policy 40-host <<END
[Match]
Address=$PF
[Host]
NumVFs=9
END
line=$(wait_journal 'were not made' -u iommud IOMMUD_EVENT=vfsFailed IOMMUD_DEVICE="$PF")
assert_contains "$line" "NumVFs=9 is more than its sriov_totalvfs, $VF_MAX; see $policy_dir/40-host.policy:1"
assert_eq 0 "$(n_vfs)" "virtual functions after a number that is too large"
drop_policy 40-host

# ---- who may have what ----

set_vfs 2
mapfile -t vfs < <(vf_addresses)
status=0
error=$(as alice iommuctl acquire "$PF" 2>&1 </dev/null) || status=$?
assert_eq 5 "$status" "exit status for a physical function that has virtual ones"
assert_contains "$error" "$PF has 2 virtual functions"
assert_contains "$error" "echo 0 >/sys/bus/pci/devices/$PF/sriov_numvfs"

# Of a host's physical function they go to whom the policy says, each to another user.
hold_lease one alice "${vfs[0]}"
hold_lease two bob "${vfs[1]}"
assert_driver "${vfs[0]}" vfio-pci
assert_driver "$PF" nvme
status=0
error=$(as alice iommuctl acquire "$PF" 2>&1 </dev/null) || status=$?
assert_eq 4 "$status" "exit status for a physical function whose virtual functions are leased"
assert_contains "$error" "its virtual function ${vfs[0]} is active"
let_go one
let_go two
wait_idle
assert_driver "${vfs[0]}" none
assert_driver "${vfs[1]}" none

# And without them, the physical function is a device like others.
set_vfs 0
as alice iommuctl run "$PF" -- true
wait_idle
assert_driver "$PF" nvme
