# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# The broker is stopped while devices are out, which ends its clients' connections: when it is started again the devices go back
# where they came from.

. /payload/guest/iommud.sh
start_iommud
set_policy 50-both <<END
[Match]
Address=$EDU $NIC
[Client]
User=bob carol
[Grant]
Action=allow
END
set_override "$NIC" e1000e
mark_journal

hold nic carol iommuctl acquire --json=short "$NIC"
wait_held nic '"lease":' >/dev/null
hold edu bob iommuctl run "$EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held edu holding >/dev/null
assert_driver "$NIC" vfio-pci
broker=$(main_pid iommud) helper=$(main_pid iommud-helper)

systemctl stop iommud.service
# This one watches its connection, and gives up.
reap nic
assert_eq 1 "$ended" "exit status of the client that lost its broker"
systemctl start iommud.service
wait_journal 'put back' -u iommud IOMMUD_EVENT=leaseRecovered IOMMUD_DEVICE="$NIC"
wait_journal 'free' -u iommud IOMMUD_EVENT=leaseReleased IOMMUD_DEVICE="$NIC"
assert_driver "$NIC" e1000e
assert_eq e1000e "$(override_of "$NIC")" "the administrator's override"

# The other one does not, and keeps its descriptors: its device is nobody's until it lets go.
wait_journal 'put back' -u iommud IOMMUD_EVENT=leaseRecovered IOMMUD_DEVICE="$EDU"
wait_journal 'still out' -u iommud IOMMUD_EVENT=leaseLingering IOMMUD_DEVICE="$EDU"
status=0
error=$(as carol iommuctl acquire "$EDU" 2>&1 </dev/null) || status=$?
assert_eq 4 "$status" "exit status while descriptors are out"
assert_contains "$error" "a client of a former iommud"
let_go edu
wait_journal 'free' -u iommud IOMMUD_EVENT=leaseReleased IOMMUD_DEVICE="$EDU"
assert_driver "$EDU" none
assert_eq none "$(override_of "$EDU")" "override of $EDU"

[[ $(main_pid iommud) != "$broker" ]]
assert_eq "$helper" "$(main_pid iommud-helper)" "the helper's pid"
assert_eq 0000000000000000 "$(sed -n 's/^CapEff:\t//p' "/proc/$(main_pid iommud)/status")" "its capabilities"
as carol iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
as bob iommuctl run "$NIC" -- true
wait_idle
assert_driver "$NIC" e1000e
assert_eq e1000e "$(override_of "$NIC")" "the administrator's override"
