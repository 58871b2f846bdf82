# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 900
#
# A client is killed, once at each step of its request: its own, of the broker, of the helper, of the workers. It asks for two
# devices of a group whose third is parked, for what it may not have, and for what another has, in line. Sysfs is as before, no
# lease, no transaction and no descriptor is left, with systemd neither, who is behind it in line gets the device, and a lease
# that another had all the time does DMA still. Nothing is granted that is not taken back, and nothing in the name of anybody
# else.

. /payload/guest/iommud.sh
start_iommud

set_policy 50-client-dies <<END
[Match]
Address=$MF_NIC $MF_NVME $MF_EDU
[Client]
User=bob
[Grant]
Action=allow
GroupScope=whole
Bystanders=park
[Match]
Address=$NIC
[Client]
User=alice bob carol
[Grant]
Action=allow
[Match]
Address=$EDU
[Client]
User=alice
[Grant]
Action=allow
[Match]
Address=$NVME
[Client]
User=root
[Grant]
Action=allow
END
# The names of interfaces are compared as well.
udev_settle

points=0

# n_stored: how many descriptors systemd keeps for iommud
n_stored()
{
	systemctl show -p NFileDescriptorStore --value iommud
}

# dies SCENARIO WHO CALL,CALL DEVICE... [-- MEMBER...]: as client-dies says; adds to $points
dies()
{
	local line

	echo "---- $*"
	if ! client-dies "$@" | tee "$state/client-dies"; then
		journal_since -u iommud -u iommud-helper | tail -n 40
		# What they hold keeps devices from being put back.
		systemctl restart iommud iommud-helper
		fail "not as before"
	fi
	line=$(tail -n 1 "$state/client-dies")
	[[ $line == +([0-9])" points" && ${line% *} -gt 0 ]] || fail "no points: $line"
	assert_eq "$stored" "$(n_stored)" "descriptors that systemd keeps"
	points=$((points + ${line% *}))
	note "$line: $1, when $2 does $3"
}

own=connect,send,ioctl,poll,recvmsg,close
group=("$MF_NVME" "$MF_EDU" -- "$MF_NIC")

# values FIELD MATCH...: those that iommud's entries have since mark_journal, sorted, one a line
values()
{
	local field=$1

	shift
	journal_since -o json --output-fields="$field" -u iommud "$@" | sed -n "s/.*\"$field\":\"\([^\"]*\)\".*/\1/p" |
		sort -u
}

mark_journal
# shellcheck disable=SC2016
hold other alice iommuctl run --backend=iommufd "$EDU" -- \
	sh -c 'echo have; read -r _; exec edu-dma --device "$1" --iommu "$2"' x '{device}' '{iommu}'
wait_held other have >/dev/null
stored=$(n_stored)
[[ $stored -gt 0 ]] || fail "systemd does not keep the connection of a lease"

dies take client $own "${group[@]}"
dies take broker sendmsg,send,write "${group[@]}"
dies take helper write,clone "${group[@]}"
dies take workers write,exit "${group[@]}"
dies take-legacy openers openat,ioctl "${group[@]}"
dies line client $own "$NIC"
dies line broker sendmsg,send "$NIC"

# What root may have, and nobody else.
dies deny client $own "$NVME"
dies deny broker sendmsg,send "$NVME"
# And what bob may have when he is not in the unit that he is in; that of the dead can't be told.
unit=$(sed -n 's|^0::.*/\([^/]*\.service\).*|\1|p' /proc/self/cgroup)
set_policy 60-client-dies <<END
[Match]
Address=$NVME
[Client]
User=bob
Unit=!$unit
[Grant]
Action=allow
END
dies deny broker sendmsg,send "$NVME"
dies deny helper recvmsg,openat,sendmsg "$NVME"
note "$points points"

# ---- the other one's lease ----

echo >&"${hold_fd[other]}"
wait_held other 'DMA ok: 4096 bytes'
let_go other
wait_idle

# ---- what the journal says of them all ----

granted=398557c53a2d40dbbf4c993b1ce43b29
released=947e3e24c07c4e71921ff028fc2a7db2

[[ $(values IOMMUD_LEASE MESSAGE_ID=$granted | wc -l) -gt 100 ]] || fail "hardly anything was granted"
assert_eq "" "$(comm -23 <(values IOMMUD_LEASE MESSAGE_ID=$granted) <(values IOMMUD_LEASE MESSAGE_ID=$released))" "leases for ever"
assert_eq "" "$(values IOMMUD_LEASE MESSAGE_ID=$granted IOMMUD_DEVICE="$NVME")" "leases of what is root's"
assert_eq 1001 "$(values IOMMUD_UID MESSAGE_ID=$granted IOMMUD_DEVICE="$MF_EDU")" "users who got what is bob's"
assert_eq "1000 1001 1002" "$(values IOMMUD_UID | xargs)" "users"
assert_eq "$unit" "$(values IOMMUD_UNIT)" "units"
[[ $(journal_since -u iommud-helper) != *"uid 0"* ]] || fail "the helper took somebody for root"
