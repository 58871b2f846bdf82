# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# list, groups and describe, for people and as JSON; and a user sees what a rule would allow, no more.

. /payload/guest/iommud.sh
start_iommud
# The group that can't be given away names the devices and drivers in the way.
groups=$(iommuctl groups)
assert_contains "$groups" "$MF_NIC is bound to e1000"
assert_contains "$groups" "$MF_NVME is bound to nvme"
groups=$(iommuctl groups --json=short)
assert_contains "$groups" '"devices":["'"$MF_NIC"'","'"$MF_NVME"'","'"$MF_EDU"'"],"viable":false'
assert_contains "$groups" '{"kind":"foreignDriver","device":"'"$MF_NIC"'","driver":"e1000",'
assert_contains "$groups" '"devices":["'"$EDU"'"],"viable":true,"blockers":[]'
assert_contains "$groups" '{"start":"0x00000000fee00000","end":"0x00000000feefffff","type":"msi"}'
assert_contains "$groups" '"type":"direct-relaxable"'

list=$(iommuctl list)
assert_contains "$list" "$NIC"
assert_contains "$list" "8086:10d3  Intel Corporation 82574L Gigabit Network Connection"
# Every device that the kernel has in a group, and none besides.
shopt -s nullglob
members=(/sys/kernel/iommu_groups/*/devices/*)
assert_eq "${#members[@]}" "$(iommuctl list --no-legend | wc -l)" "devices in the list"

device=$(iommuctl describe "$NIC")
for text in "Intel Corporation (0x8086)" "82574L Gigabit Network Connection (0x10d3)" "Ethernet controller (0x020000)" \
	"Reserved: 0x00000000fee00000-0x00000000feefffff msi" "Blocker: $NIC is bound to e1000e" \
	"echo $NIC >/sys/bus/pci/drivers/e1000e/unbind"; do
	assert_contains "$device" "$text"
done
methods=$(<"/sys/bus/pci/devices/$NIC/reset_method")
assert_contains "$device" "Reset methods: ${methods// /, }"
device=$(iommuctl describe --json=short "$NIC")
assert_contains "$device" '"vendorId":"0x8086","deviceId":"0x10d3"'
assert_contains "$device" '"class":"0x020000"'
assert_contains "$device" '"resetMethods":["'"${methods// /\",\"}"'"]'

# Without a rule there is nothing to see, and a device that may not be seen is as one that is not there.
assert_eq '[]' "$(as bob iommuctl list --json=short)"
assert_eq '[]' "$(as bob iommuctl groups --json=short)"
status=0
hidden=$(as bob iommuctl describe "$NIC" 2>&1) || status=$?
assert_eq 1 "$status"
absent=$(expect_fail as bob iommuctl describe 0000:ee:00.0 2>&1)
assert_eq "${absent//0000:ee:00.0/$NIC}" "$hidden"

allow 50-bob bob "$NIC"
assert_eq "$NIC" "$(as bob iommuctl list --no-legend | cut -d ' ' -f 1)" "what bob sees"
assert_eq "$(group_of "$NIC")" "$(as bob iommuctl groups --no-legend | cut -d ' ' -f 1)" "bob's groups"
assert_contains "$(as bob iommuctl describe "$NIC")" "82574L"
expect_fail as bob iommuctl describe "$EDU"
assert_eq '[]' "$(as alice iommuctl list --json=short)"
