# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# A network interface that the host uses stays with the host, unless the rule says Force=yes; one that is merely up does not.

. /payload/guest/iommud.sh
start_iommud
allow 50-nic alice "$NIC"

# interface_of_nic: its name now
interface_of_nic()
{
	local folder

	udev_settle
	folder=$(echo "/sys/bus/pci/devices/$NIC/net/"*)
	echo "${folder##*/}"
}

# refused WHAT: to take the NIC, with this reason, and nothing has happened
refused()
{
	local status=0 error

	error=$(as alice iommuctl acquire "$NIC" 2>&1 </dev/null) || status=$?
	echo "$error"
	assert_eq 4 "$status" "exit status while $1"
	assert_contains "$error" "$NIC is in use by the host: $1; "
	assert_contains "$error" "Force=yes in $policy_dir/50-nic.policy:1"
	assert_driver "$NIC" e1000e
	assert_eq none "$(override_of "$NIC")" "override of $NIC"
	assert_eq "$generation" "$(stat -c %Y.%i "/sys/bus/pci/devices/$NIC/driver")" "the link to the driver"
	assert_eq free "$(state_of "$NIC")" "state"
}

name=$(interface_of_nic)
generation=$(stat -c %Y.%i "/sys/bus/pci/devices/$NIC/driver")
ip link set "$name" up

ip address add 192.0.2.1/24 dev "$name"
refused "$name has the address 192.0.2.1"
error=$(expect_fail as alice varlinkctl -j call /run/iommud/io.iommud io.iommud.Acquire "{\"devices\":[\"$NIC\"]}" 2>&1)
assert_contains "$error" io.iommud.DeviceBusy
assert_contains "$error" '"state":null'
ip address flush dev "$name" scope global

ip address add 2001:db8::1/64 dev "$name" nodad
refused "$name has the address 2001:db8::1"
ip address flush dev "$name" scope global

ip route add 198.51.100.0/24 dev "$name"
refused "$name has a route (198.51.100.0/24)"
ip route del 198.51.100.0/24 dev "$name"
ip -6 route add default dev "$name"
refused "$name has a route (default)"
ip -6 route del default dev "$name"

# Up, with the link-local address and routes that it got by that: it goes, and comes back.
watch_events
as alice iommuctl run "$NIC" -- true
wait_event '"leaseReleased"*'"$NIC" >/dev/null
assert_driver "$NIC" e1000e
wait_idle

# Force: the address goes with the interface.
name=$(interface_of_nic)
ip link set "$name" up
ip address add 192.0.2.1/24 dev "$name"
allow 50-nic alice "$NIC" Force=yes
: >"$events"
as alice iommuctl run "$NIC" -- true
wait_event '"leaseReleased"*'"$NIC" >/dev/null
assert_eq '' "$(ip -oneline address show to 192.0.2.1)" "the address"
unwatch_events
wait_idle
assert_driver "$NIC" e1000e
