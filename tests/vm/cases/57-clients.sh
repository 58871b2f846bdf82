# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# Rules tell clients apart by unit, slice, executable and AppArmor profile: two users, services, user managers' slices, and a
# reload while clients are connected.

. /payload/guest/iommud.sh
start_iommud

# rule CLIENT_LINE...: who it fits may have the NIC
rule()
{
	{
		printf '[Match]\nAddress=%s\n[Client]\n' "$NIC"
		printf '%s\n' "$@"
		printf '[Grant]\nAction=allow\n'
	} | set_policy 50-client
}

# Whether that gets the device, which takes broker and helper to agree.
granted()
{
	in_unit "$@" iommuctl run "$NIC" -- true
	wait_idle
}

denied()
{
	expect_status 3 in_unit "$@" iommuctl acquire "$NIC"
}

# ---- units ----

rule Unit=wanted.service
granted wanted.service system.slice alice
granted wanted.service system.slice bob
denied other.service system.slice alice
# Outside of any service: the unit is that of the cases themselves.
expect_status 3 as alice iommuctl acquire "$NIC" </dev/null

rule 'User=alice' 'Unit=wanted*.service !wanted-not.service'
granted wanted-1.service system.slice alice
denied wanted-not.service system.slice alice
denied wanted-1.service system.slice bob

# A deny is no less exact.
set_policy 40-deny <<END
[Match]
Address=*
[Client]
Unit=wanted-2.service
[Grant]
Action=deny
END
denied wanted-2.service system.slice alice
granted wanted-3.service system.slice alice
drop_policy 40-deny

# ---- slices, at any depth ----

rule Slice=vms.slice
granted a.service vms.slice alice
granted a.service vms-gold.slice alice
denied a.service system.slice alice
rule 'Slice=!vms-gold.slice'
granted a.service vms.slice alice
denied a.service vms-gold.slice alice
denied a.service vms-gold-top.slice alice

# ---- executables ----

cp "$(command -v iommuctl)" /usr/local/bin/other-iommuctl
defer rm -f /usr/local/bin/other-iommuctl
rule "Executable=$(readlink -f "$(command -v iommuctl)")"
granted a.service system.slice alice
expect_status 3 in_unit a.service system.slice alice /usr/local/bin/other-iommuctl acquire "$NIC"
rule 'Executable=/usr/local/bin/*'
in_unit a.service system.slice alice /usr/local/bin/other-iommuctl acquire "$NIC"
wait_idle

# One that is gone from its path is nobody's: it was replaced.
cp /usr/local/bin/other-iommuctl /usr/local/bin/gone-iommuctl
expect_status 3 in_unit a.service system.slice root sh -c \
	'exec 3</usr/local/bin/gone-iommuctl; rm /usr/local/bin/gone-iommuctl; exec /proc/self/fd/3 acquire "$0"' "$NIC"

# ---- AppArmor ----

if [[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]; then
	rule AppArmor=unconfined
	granted a.service system.slice alice
	rule 'AppArmor=!unconfined'
	denied a.service system.slice alice
	rule AppArmor=qemu
	denied a.service system.slice alice
else
	# Without it nobody has a profile that is known.
	rule 'AppArmor=*'
	denied a.service system.slice alice
	rule 'AppArmor=!qemu'
	denied a.service system.slice alice
	note "this kernel has no AppArmor on: only that its absence fits no rule was looked at"
fi

# ---- contexts: this machine gives none, and none fits ----

rule 'Context=*:*:*:*'
denied a.service system.slice alice
rule 'Context=!system_u:*:*:*'
denied a.service system.slice alice

# ---- what is asked for is learned when a policy first asks ----

# A connection from before the rule: its next call is judged by its unit.
call='{"method":"io.iommud.Explain","parameters":{"device":"'$NIC'"}}'
rule User=bob
hold early root systemd-run --quiet --wait --collect --pipe --unit=early.service --uid=alice \
	pid-reuse stay /run/iommud/io.iommud "$call"
wait_held early 'pid ' >/dev/null
echo >&"${hold_fd[early]}"
assert_contains "$(wait_held early '"decision"')" '"allowed":false'
: >"$state/early.out"
rule Unit=early.service
echo >&"${hold_fd[early]}"
assert_contains "$(wait_held early '"decision"')" '"allowed":true'

# And again by the helper's successor.
systemctl kill --signal=KILL --kill-whom=main iommud-helper
: >"$state/early.out"
echo >&"${hold_fd[early]}"
assert_contains "$(wait_held early '"decision"')" '"allowed":true'
let_go early
