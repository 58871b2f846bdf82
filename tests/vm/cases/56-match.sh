# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 180
#
# Rules find real devices by serial number, path, subsystem, class name, NUMA node and pool, broker and helper alike; the
# serial number is known while the device is on vfio, and what is not known is allowed to nobody.

. /payload/guest/iommud.sh
start_iommud

# rule MATCH_LINE...: alice may have what fits
rule()
{
	{
		printf '[Match]\n'
		printf '%s\n' "$@"
		printf '[Client]\nUser=alice\n[Grant]\nAction=allow\nForce=yes\n'
	} | set_policy 50-match
}

# granted ADDRESS: alice gets it, which takes both to agree
granted()
{
	as alice iommuctl run "$1" -- true
	wait_idle
}

# denied ADDRESS
denied()
{
	expect_status 3 as alice iommuctl acquire "$1" </dev/null
}

# ---- what the host says of them ----

path=$(udevadm info --query=property --property=ID_PATH --value "/sys/bus/pci/devices/$NVME")
assert_eq "pci-$NVME" "$path" "ID_PATH of the nvme"
assert_contains "$(iommuctl describe "$NVME")" "$path"
assert_contains "$(iommuctl describe "$NVME")" IOMMUD-0

# ---- each key, for and against ----

rule Serial=IOMMUD-0
granted "$NVME"
denied "$NIC"
rule 'Serial=IOMMUD-? !IOMMUD-MF'
granted "$NVME"
rule 'Serial=!IOMMUD-0'
denied "$NVME"
# It has none that anybody can read: not even "all but" means it.
denied "$NIC"

rule "Path=pci-$NIC"
granted "$NIC"
denied "$NVME"
rule "Path=pci-* !pci-$NIC"
granted "$NVME"
denied "$NIC"

read -r vendor <"/sys/bus/pci/devices/$NIC/subsystem_vendor"
read -r device <"/sys/bus/pci/devices/$NIC/subsystem_device"
rule "Subsystem=${vendor#0x}:${device#0x}"
granted "$NIC"
denied "$NVME"

rule Class=nvme
granted "$NVME"
denied "$NIC"
rule 'Class=!nvme' 'NumaNode=none' "Address=$NIC $NVME"
granted "$NIC"
denied "$NVME"

set_policy 40-pool <<END
[Match]
Class=nvme
[Pool]
Name=disks
END
rule 'Pool=disks' "Address=$NIC $NVME"
granted "$NVME"
denied "$NIC"
rule 'Pool=!disks' "Address=$NIC $NVME"
granted "$NIC"
denied "$NVME"

# ---- while it is leased ----

# The driver that told the serial number is gone, and the rule fits as before.
rule Serial=IOMMUD-0
hold_lease holder alice "$NVME"
assert_driver "$NVME" vfio-pci
[[ ! -e /sys/bus/pci/devices/$NVME/nvme ]] || fail "the host's driver is still there"
assert_contains "$(as alice iommuctl explain "$NVME" || true)" "$policy_dir/50-match.policy:1"
let_go holder
wait_idle
assert_driver "$NVME" nvme
granted "$NVME"

# One that somebody else put on vfio has no serial number that is known, and no rule that names it allows it.
bind_driver "$NVME" vfio-pci
denied "$NVME"
rule 'Serial=!OTHER'
denied "$NVME"
set_policy 40-deny <<END
[Match]
Class=nvme
Serial=OTHER
[Client]
User=*
[Grant]
Action=deny
END
rule Class=nvme
error=$(as alice iommuctl acquire "$NVME" 2>&1 </dev/null) && fail "a deny that may be about it was passed over"
assert_contains "$error" "denied by $policy_dir/40-deny.policy:1; what Serial= of"
assert_contains "$error" 'is not known'
drop_policy 40-deny
granted "$NVME"
