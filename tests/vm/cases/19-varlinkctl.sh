# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# systemd's varlinkctl speaks to iommud: another implementation of the same protocol.

. /payload/guest/iommud.sh
start_iommud
socket=/run/iommud/io.iommud
idls=/usr/share/iommud
allow 50-bob bob "$EDU"

# call USER METHOD PARAMETERS
call()
{
	as "$1" varlinkctl --json=short call "$socket" "io.iommud.$2" "$3"
}

# call_more root METHOD: a reply a line, without the record separators of JSON text sequences
call_more()
{
	as "$1" varlinkctl --more --json=short call "$socket" "io.iommud.$2" '{}' | tr -d '\036'
}

for user in root bob; do
	info=$(as $user varlinkctl info "$socket")
	assert_contains "$info" "Product: iommud"
	assert_eq $'io.iommud\nio.iommud.Manage\norg.varlink.service' "$(as $user varlinkctl list-interfaces "$socket")"
	# What it serves is what is installed, comments and all.
	for interface in io.iommud io.iommud.Manage; do
		assert_eq "$(varlinkctl validate-idl "$idls/$interface.varlink")" \
			"$(as $user varlinkctl introspect "$socket" $interface)" "the interface $interface"
	done

	assert_contains "$(call $user Describe "{\"device\":\"$EDU\"}")" '"deviceId":"0x11e8"'
	assert_contains "$(call $user Explain "{\"device\":\"$EDU\"}")" '"allowed":'
	error=$(expect_fail call $user Describe '{"device":"0000:ee:00.0"}' 2>&1)
	assert_contains "$error" io.iommud.NoSuchDevice
	error=$(expect_fail call $user NoSuchMethod '{}' 2>&1)
	assert_contains "$error" org.varlink.service.MethodNotFound
	error=$(expect_fail call $user Describe '{"device":7}' 2>&1)
	assert_contains "$error" org.varlink.service.InvalidParameter
	error=$(expect_fail call $user ListDevices '{}' 2>&1)
	assert_contains "$error" org.varlink.service.ExpectedMore
done

devices=$(call_more root ListDevices)
assert_contains "$devices" "$NIC"
assert_eq '{}' "${devices##*$'\n'}" "the last reply"
groups=$(call_more root ListGroups)
assert_contains "$groups" '"devices":["'"$MF_NIC"'","'"$MF_NVME"'","'"$MF_EDU"'"]'
devices=$(call_more bob ListDevices)
assert_contains "$devices" "$EDU"
[[ $devices != *"$NIC"* ]]
assert_eq 2 "$(wc -l <<<"$devices")" "replies to bob"
assert_eq '{}' "$(call_more alice ListGroups)"

assert_contains "$(call bob Explain "{\"device\":\"$EDU\"}")" '"allowed":true'
assert_contains "$(call root Explain "{\"device\":\"$EDU\",\"as\":\"alice\"}")" '"allowed":false'
error=$(expect_fail call bob Explain "{\"device\":\"$EDU\",\"as\":\"root\"}" 2>&1)
assert_contains "$error" io.iommud.DeniedByPolicy

# ---- the other interface ----

assert_contains "$(call root Manage.Reload '{}')" '{"rules":1,"digest":"'
assert_eq '{}' "$(call_more root Manage.ListLeases)"
error=$(expect_fail call root Manage.Revoke '{"lease":999}' 2>&1)
assert_contains "$error" io.iommud.Manage.NoSuchLease
error=$(expect_fail call root Manage.ListLeases '{}' 2>&1)
assert_contains "$error" org.varlink.service.ExpectedMore
error=$(expect_fail call root Manage.NoSuchMethod '{}' 2>&1)
assert_contains "$error" org.varlink.service.MethodNotFound
error=$(expect_fail call bob Manage.Reload '{}' 2>&1)
assert_contains "$error" io.iommud.Manage.NotAllowed
error=$(expect_fail call bob Manage.Revoke '{"lease":1}' 2>&1)
assert_contains "$error" io.iommud.Manage.NotAllowed
