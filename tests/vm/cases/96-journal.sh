# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 300
#
# The real journal: a grant, a denial, a violation, a revocation and a quarantine are one entry each, found by their message
# id, with all fields, the client's unit among them, though no rule asks for it; and journalctl -x says what to do.

. /payload/guest/iommud.sh
start_iommud
# With the module the driver that makes the violation would not be let in.
without_module

# has_ended: the client of a lease that was taken back does by itself
has_ended()
{
	local fd=${hold_fd[client]}

	reap client
	exec {fd}>&-
	assert_eq 0 "$ended" "exit status of the client"
}

journalctl --update-catalog
defer rm -f /var/lib/systemd/catalog/database

granted=398557c53a2d40dbbf4c993b1ce43b29
denied=cef604ae286c4e47935389d320b559d5
label_refused=90476f03ae5346eda8abe7abf878dba9
requested=870fa1c37f734b2aad7fb7a8dbce9c59
violation=94f3d571264748158018413cfa0fb4fc
quarantined=1fc02a9091b64415b51316cb7137fd72
failed=d7e68b7cfe314ae383feb00c36a0a639
manage_denied=7d027912a9234b299485f3a3778e9b64
policy_loaded=c212adf478f64c6a9d6f52f8df23d4f7
policy_refused=317d96bf92f54f7282d2b7f39d809524

# entries ID: how many there are since mark_journal
entries()
{
	journal_since -o json MESSAGE_ID="$1" | wc -l
}

# the_one ID FIELD=VALUE...: there is one, and these are its fields
the_one()
{
	local id=$1 entry field

	shift
	assert_eq 1 "$(entries "$id")" "entries with $id"
	entry=$(journalctl --quiet --after-cursor="$cursor" -o json MESSAGE_ID="$id")
	for field in SYSLOG_IDENTIFIER=iommud _SYSTEMD_UNIT=iommud.service "$@"; do
		assert_contains "$entry" "\"${field%%=*}\":\"${field#*=}\""
	done
}

# says ID TEXT...: the catalog does, and has found all fields that it asks for
says()
{
	local id=$1 text all

	shift
	all=$(journalctl --quiet -x --after-cursor="$cursor" MESSAGE_ID="$id")
	for text in "Defined-By: iommud" "Documentation: man:" "$@"; do
		assert_contains "$all" "$text"
	done
	[[ $all != *@IOMMUD_* ]] || fail "a field is missing: $all"
}

set_policy 96-journal <<-END
	[Match]
	Address=$NVME
	[Client]
	User=carol
	[Grant]
	Action=deny
	[Match]
	Address=$NVME
	[Client]
	User=bob
	[Grant]
	Action=allow
	Label=red
	[Match]
	Address=0000:00:07.*
	[Client]
	User=bob
	[Grant]
	Action=allow
	GroupScope=whole
	OnViolation=log
	Label=red
	[Match]
	Address=0000:00:07.*
	[Client]
	User=alice
	[Grant]
	Action=allow
	GroupScope=whole
	Label=blue
END
file=$policy_dir/96-journal.policy

# ---- a grant, and a denial ----

mark_journal
watch_events
hold_lease_in vm-1.service client bob "$NVME"
pid=$(main_pid vm-1.service)
the_one $granted PRIORITY=6 IOMMUD_DEVICE="$NVME" IOMMUD_GROUP="$(group_of "$NVME")" IOMMUD_LEASE="$lease" IOMMUD_UID=1001 \
	IOMMUD_PID="$pid" IOMMUD_UNIT=vm-1.service IOMMUD_LABEL=red IOMMUD_RULE="$file:7" IOMMUD_BACKEND=iommufd
says $granted "Subject: Devices were handed out: lease $lease" "A client of user 1001 got the devices of lease $lease" \
	"rule in $file:7"
expect_status 3 in_unit vm-2.service system.slice carol iommuctl acquire "$NVME"
the_one $denied PRIORITY=5 IOMMUD_DEVICE="$NVME" IOMMUD_UID=1002 IOMMUD_UNIT=vm-2.service IOMMUD_RULE="$file:1"
says $denied 'iommuctl explain DEVICE --as=1002'

# ---- a revocation ----

expect_status 3 as carol iommuctl revoke "$lease"
the_one $manage_denied IOMMUD_UID=1002
assert_eq 0 "$(entries $requested)" "revocations"
iommuctl revoke --reason=$'it is\nIOMMUD_UID=0' "$lease"
the_one $requested IOMMUD_DEVICE="$NVME" IOMMUD_LEASE="$lease" IOMMUD_UID=1001 IOMMUD_BY_UID=0 IOMMUD_LABEL=red \
	IOMMUD_UNIT=vm-1.service IOMMUD_RULE="$file:7"
says $requested "The client of user 1001 was asked to give the devices" "it is?IOMMUD_UID=0"
wait_event '"leaseReleased"' >/dev/null
has_ended
wait_idle
the_one $granted

# ---- a violation, and a label ----

unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle
mark_journal
hold_lease_in vm-3.service client bob --yes "$MF_EDU" "$MF_NVME"
# Each of the devices finds the one entry.
for address in "$MF_EDU" "$MF_NVME"; do
	assert_eq 1 "$(journal_since -o json MESSAGE_ID=$granted IOMMUD_DEVICE="$address" | wc -l)" "grants of $address"
done
expect_status 4 in_unit vm-4.service system.slice alice iommuctl acquire --yes "$MF_NIC"
the_one $label_refused IOMMUD_DEVICE="$MF_NIC" IOMMUD_GROUP="$(group_of "$MF_NIC")" IOMMUD_UID=1000 IOMMUD_LABEL=blue \
	IOMMUD_GROUP_LABEL=red IOMMUD_UNIT=vm-4.service IOMMUD_RULE="$file:23"
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
wait_event '"violation"' >/dev/null
the_one $violation PRIORITY=3 IOMMUD_DEVICE="$MF_NIC" IOMMUD_GROUP="$(group_of "$MF_NIC")" IOMMUD_LEASE="$lease" IOMMUD_UID=1001 \
	IOMMUD_UNIT=vm-3.service IOMMUD_LABEL=red IOMMUD_DRIVER=e1000 IOMMUD_RULE="$file:14"
says $violation "iommuctl revoke $lease"
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/unbind
wait_event '"violationEnded"' >/dev/null
let_go client
wait_idle
assert_eq 1 "$(entries $violation)" "violations"

# ---- a quarantine ----

modprobe fail-reset
defer modprobe -r fail-reset
parameter=/sys/module/fail_reset/parameters/device

# serve_fails: bob asks for the NVMe, whose reset fails
serve_fails()
{
	echo "$NVME" >$parameter
	expect_status 1 in_unit vm-5.service system.slice bob iommuctl acquire "$NVME"
}

# Where it is not known who had it last it needs a reset.
unwatch_events
forget_past
mark_journal
serve_fails
the_one $quarantined PRIORITY=3 IOMMUD_DEVICE="$NVME" IOMMUD_GROUP="$(group_of "$NVME")" IOMMUD_UID=1001 IOMMUD_LABEL=red \
	IOMMUD_UNIT=vm-5.service IOMMUD_RULE="$file:7"
says $quarantined "Device $NVME was to be reset"
the_one $failed IOMMUD_DEVICE="$NVME" IOMMUD_UNIT=vm-5.service
serve_fails
assert_eq 1 "$(entries $quarantined)" "quarantines"
echo >$parameter
as bob iommuctl run "$NVME" -- true
wait_idle

# ---- the policy ----

mark_journal
echo nonsense >"$policy_dir/97-bad.policy"
expect_status 1 iommuctl reload
the_one $policy_refused PRIORITY=3 IOMMUD_EVENT=policyRefused
says $policy_refused "Subject: The policy was not loaded" "with 4 rules, stays in force"
assert_eq 0 "$(entries $policy_loaded)" "policies that were loaded"
rm "$policy_dir/97-bad.policy"
iommuctl reload
the_one $policy_loaded PRIORITY=6
the_one $policy_refused
