# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: sriov
# root: debian
# timeout: 300
#
# An administrator sets sriov_numvfs to 0 while virtual functions are leased: it is told whose doing that is, the leases are
# taken back, and the kernel waits for the one who does not let go.

. /payload/guest/iommud.sh
. /payload/guest/sriov.sh
sriov_begin
start_iommud
set_policy 50-rules <<END
[Match]
PhysicalFunction=$PF
[Client]
User=alice bob
[Grant]
Action=allow
END
set_vfs 2
mapfile -t vfs < <(vf_addresses)
mark_journal

# The first is with somebody who does not hear, the second with one who gives back what is asked for.
hold deaf alice iommuctl run "${vfs[0]}" -- sh -c 'echo ready; read -r line'
wait_held deaf ready >/dev/null
hold_lease other bob "${vfs[1]}"
before=$(iommuctl status --json=short)
assert_contains "$before" "${vfs[0]}"
assert_contains "$before" "${vfs[1]}"

# One by one, and each waits for its descriptors. A holder, for it must not keep the others' stdin open.
hold writer root sh -c "echo 0 >$pf/sriov_numvfs"
wait_journal "${vfs[0]} is taken away with all virtual functions of $PF" -u iommud IOMMUD_EVENT=vfTakenBack
wait_journal "${vfs[0]}" -u iommud IOMMUD_EVENT=deviceRequested IOMMUD_DEVICE="${vfs[0]}"
kill -0 "${holder[writer]}" || fail "sriov_numvfs was written while a descriptor was out"
assert_driver "${vfs[1]}" vfio-pci

let_go deaf
wait_journal "${vfs[1]} is taken away with all virtual functions of $PF" -u iommud IOMMUD_EVENT=vfTakenBack
reap writer
assert_eq 0 "$(<"$pf/sriov_numvfs")" sriov_numvfs
reap other
wait_idle
for vf in "${vfs[@]}"; do
	wait_no_device "$vf"
	journal_since IOMMUD_EVENT=leaseReleased IOMMUD_DEVICE="$vf" | grep -q . || fail "the lease of $vf did not end"
done
assert_driver "$PF" nvme

# They can be made and leased again, and nothing is taken for what was at their addresses.
set_vfs 2
as alice iommuctl run "${vfs[0]}" -- true
wait_idle
assert_driver "${vfs[0]}" none
