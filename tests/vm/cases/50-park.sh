# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 180
#
# One function of a slot is given away while the host's drivers are on its neighbours: they are parked for the time of the
# lease, and go back afterwards.

. /payload/guest/iommud.sh
start_iommud

# slot_policy MORE: bob may have $MF_EDU
slot_policy()
{
	set_policy 50-slot <<-END
		[Match]
		Address=$MF_EDU
		[Client]
		User=bob
		[Grant]
		Action=allow
		GroupScope=whole
		$1
	END
}

# assert_slot_is_back: drivers and overrides are as at boot
assert_slot_is_back()
{
	assert_driver "$MF_NIC" e1000
	assert_driver "$MF_NVME" nvme
	assert_driver "$MF_EDU" none
	for address in "$MF_NIC" "$MF_NVME" "$MF_EDU"; do
		assert_eq none "$(override_of "$address")" "override of $address"
	done
}

# assert_parked: the neighbours are out of the way, and nobody's
assert_parked()
{
	assert_driver "$MF_NIC" pci-stub
	assert_driver "$MF_NVME" pci-stub
	assert_driver "$MF_EDU" vfio-pci
}

# Without parking, the refusal names each, and the ways out.
slot_policy ''
status=0
error=$(as bob iommuctl acquire --yes "$MF_EDU" 2>&1 </dev/null) || status=$?
assert_eq 5 "$status" "exit status without parking"
assert_contains "$error" "$MF_NIC is bound to e1000"
assert_contains "$error" "Bystanders=park in $policy_dir/50-slot.policy:1"
assert_contains "$(as bob iommuctl explain "$MF_EDU")" "$MF_NVME is bound to nvme"
assert_slot_is_back

# With it, it is said beforehand, and nothing happens without consent.
slot_policy Bystanders=park
explanation=$(as bob iommuctl explain "$MF_EDU")
assert_contains "$explanation" "$MF_NIC is unbound from e1000 and parked on pci-stub"
assert_contains "$explanation" "is parked on pci-stub, and put back on nvme afterwards"
expect_status 3 as bob iommuctl acquire "$MF_EDU" </dev/null
assert_slot_is_back

hold client bob iommuctl run --yes --backend=iommufd "$MF_EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held client 'DMA ok'
wait_held client holding
assert_parked
assert_contains "$(iommuctl status --json=short)" '"devices":["'"$MF_EDU"'"],"parked":["'"$MF_NIC"'","'"$MF_NVME"'"]'
assert_eq active "$(state_of "$MF_EDU")" "state"
let_go client
wait_idle
assert_slot_is_back

hold client bob iommuctl run --yes --backend=legacy "$MF_EDU" -- \
	edu-dma --hold --container '{container}' --group '{group}' --device '{device}' --address "$MF_EDU"
wait_held client 'DMA ok'
wait_held client holding
assert_parked
let_go client
wait_idle
assert_slot_is_back

# The broker is killed, and the lease goes on. It is stopped, and the client still has the device: the neighbours wait for it, for the
# kernel would deny them their drivers.
hold client bob iommuctl run --yes "$MF_EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held client holding
mark_journal
kill -KILL "$(main_pid iommud)"
wait_journal '1 leases go on' -u iommud IOMMUD_EVENT=restarted
assert_parked
assert_eq active "$(state_of "$MF_EDU")" "state after a restart"
systemctl stop iommud
mark_journal
systemctl start iommud
wait_journal 'still out' -u iommud IOMMUD_EVENT=leaseLingering IOMMUD_DEVICE="$MF_EDU"
# The unbind that waits has taken the driver's link away already.
assert_driver "$MF_NIC" pci-stub
assert_driver "$MF_NVME" pci-stub
let_go client
wait_journal 'free' -u iommud IOMMUD_EVENT=leaseReleased IOMMUD_DEVICE="$MF_NIC"
wait_journal 'free' -u iommud IOMMUD_EVENT=leaseReleased IOMMUD_DEVICE="$MF_NVME"
assert_slot_is_back

# And the helper.
hold client bob iommuctl run --yes "$MF_EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held client holding
kill -KILL "$(main_pid iommud-helper)"
let_go client
wait_idle
assert_slot_is_back
