# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# A slot with three functions is one group: given away as a whole, with consent, behind one iommufd.

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

[Match]
Address=$MF_EDU
[Client]
User=carol
[Grant]
Action=allow
END

# As long as the host's drivers are on it, it is not viable, consent or not.
status=0
error=$(as bob iommuctl acquire --yes "$MF_EDU" 2>&1 </dev/null) || status=$?
assert_eq 5 "$status" "exit status while drivers are bound"
assert_contains "$error" "$MF_NIC is bound to e1000"

unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle
# A rule that admits groups of one only.
error=$(expect_fail as carol iommuctl acquire --yes "$MF_EDU" 2>&1 </dev/null)
assert_contains "$error" "GroupScope=whole"

status=0
error=$(as bob iommuctl acquire "$MF_EDU" 2>&1 </dev/null) || status=$?
assert_eq 3 "$status" "exit status without consent"
assert_contains "$error" "$MF_NIC"
assert_contains "$error" "--yes"
error=$(expect_fail as bob varlinkctl call /run/iommud/io.iommud io.iommud.Acquire "{\"devices\":[\"$MF_EDU\"]}" 2>&1)
assert_contains "$error" io.iommud.ConsentRequired

# By the token of explain; it is good for this request only.
token=$(as bob iommuctl explain --json=short "$MF_EDU" | sed -n 's/.*"token":"\([0-9a-f]*\)".*/\1/p')
as bob iommuctl run --consent="$token" "$MF_EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
expect_status 3 as bob iommuctl acquire --consent="$token" "$MF_NVME" </dev/null
wait_idle

# Two of the three, one lease, one iommufd.
hold client bob iommuctl run --yes "$MF_EDU" "$MF_NIC" -- edu-dma --hold --device '{device:0}' --iommu '{iommu}'
wait_held client 'DMA ok'
wait_held client holding
assert_driver "$MF_EDU" vfio-pci
assert_driver "$MF_NIC" vfio-pci
assert_driver "$MF_NVME" none
assert_contains "$(iommuctl status --json=short)" '"devices":["'"$MF_EDU"'","'"$MF_NIC"'"]'
# The third is nobody else's meanwhile.
expect_status 4 as bob iommuctl acquire --yes "$MF_NVME" </dev/null
let_go client
wait_idle
for address in "$MF_NIC" "$MF_NVME" "$MF_EDU"; do
	assert_driver "$address" none
	assert_eq none "$(override_of "$address")" "override of $address"
done
# And all of the slot, by both backends.
for backend in iommufd legacy; do
	as bob iommuctl run --backend=$backend "$MF_EDU" "$MF_NIC" "$MF_NVME" -- true
	wait_idle
done
