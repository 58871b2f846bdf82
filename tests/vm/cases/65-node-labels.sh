# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: selinux
# root: debian
# timeout: 300
#
# Label= with SELinux: all nodes of what is handed out have the label while it is out, and the group's node, which outlives the
# lease, has its former context afterwards, whoever is killed in between. A second client with another context is refused with
# both named. A context that changes meanwhile is a violation. A label that is no context is only compared.

. /payload/guest/iommud.sh
. /payload/guest/selinux.sh
start_iommud
rule()
{
	set_policy 50-labels <<-END
	[Match]
	Address=0000:00:07.*
	[Client]
	User=bob carol
	[Grant]
	Action=allow
	GroupScope=whole
	Label=$1
	OnViolation=${2:-log}
	END
}
unbind_driver "$MF_NIC"
# On vfio already, and not asked for: its group's node is there before and after the lease.
bind_driver "$MF_NVME" vfio-pci
udev_settle
group=/dev/vfio/$(group_of "$MF_NVME")
other=$(node_of "$MF_NVME")
former=$(context_of "$group")
inode=$(stat -c %i "$group")
assert_eq "$vfio_context:s0" "$former" "context before"

assert_labelled()
{
	assert_eq "$1" "$(context_of "$(node_of "$MF_EDU")")" "context of the node of $MF_EDU"
	assert_eq "$1" "$(context_of "$(node_of "$MF_NIC")")" "context of the node of $MF_NIC"
	assert_eq "$1" "$(context_of "$group")" "context of the group's node"
	assert_eq "$former" "$(context_of "$other")" "context of what was not handed out"
}

assert_back()
{
	assert_driver "$MF_EDU" none
	assert_eq "$inode" "$(stat -c %i "$group")" "inode of the group's node"
	assert_eq "$former" "$(context_of "$group")" "context afterwards"
	assert_eq '' "$(find /run/iommud-helper -name 'contexts-*')" "notes of the helper that are left"
}

# ---- the client's own context, as the policy translates it for nodes ----

rule peer
hold_confined one bob s0:c1,c2 --yes "$MF_EDU" "$MF_NIC"
assert_labelled "$vfio_context:s0:c1,c2"
client=$(id -Z)
status=0
error=$(as carol runcon -l s0:c3,c4 iommuctl acquire --yes "$MF_EDU" 2>&1 </dev/null) || status=$?
assert_eq 4 "$status" "exit status of who comes with another context"
assert_contains "$error" "$client:c1,c2"
assert_contains "$error" "$client:c3,c4"
let_go one
wait_idle
assert_back

# Nobody has it any more: the label is the next client's.
hold_confined two carol s0:c3,c4 --yes "$MF_EDU" "$MF_NIC"
assert_labelled "$vfio_context:s0:c3,c4"
slay two
wait_idle
assert_back

# ---- the helper, and the broker, killed while it is out ----

mark_journal
hold_confined three bob s0:c1,c2 --yes "$MF_EDU" "$MF_NIC"
kill -KILL "$(main_pid iommud-helper)"
wait_journal 'iommud-helper is gone' -u iommud
assert_labelled "$vfio_context:s0:c1,c2"
let_go three
wait_idle
assert_back

mark_journal
hold_confined four bob s0:c1,c2 --yes "$MF_EDU" "$MF_NIC"
kill -KILL "$(main_pid iommud)"
wait_journal ready -u iommud
assert_labelled "$vfio_context:s0:c1,c2"
assert_eq active "$(state_of "$MF_EDU")" "state after a restart"
let_go four
wait_idle
assert_back

# ---- drift ----

watch_events
hold_confined five bob s0:c1,c2 --yes "$MF_EDU" "$MF_NIC"
chcon -l s0:c9 "$group"
event=$(wait_event '"violation"')
assert_contains "$event" "$group"
assert_contains "$event" "$vfio_context:s0:c9"
assert_contains "$event" "$vfio_context:s0:c1,c2"
assert_eq violated "$(state_of "$MF_EDU")" "state"
chcon -l s0:c1,c2 "$group"
wait_event '"violationEnded"' >/dev/null
assert_eq active "$(state_of "$MF_EDU")" "state"
mark_journal
chcon -l s0:c9 "$(node_of "$MF_NIC")" "$group"
wait_event '"violation"*'"${group//\//*}" >/dev/null
let_go five
wait_idle
unwatch_events
# What somebody else gave it is not ours to take.
assert_eq "$vfio_context:s0:c9" "$(context_of "$group")" "context that somebody gave it meanwhile"
wait_journal "$group keeps the context $vfio_context:s0:c9" -u iommud-helper >/dev/null
chcon "$former" "$group"
assert_back

rule peer revoke
watch_events
hold_confined six bob s0:c1,c2 --yes "$MF_EDU" "$MF_NIC"
chcon -l s0:c9 "$(node_of "$MF_EDU")"
wait_event '"releaseRequested"*security context' >/dev/null
unwatch_events
reap six
wait_idle
assert_back

# ---- labels that stand in the rule ----

rule "$vfio_context:s0:c7"
hold_confined seven bob s0:c1,c2 --yes "$MF_EDU" "$MF_NIC"
assert_labelled "$vfio_context:s0:c7"
let_go seven
wait_idle
assert_back

rule red
mark_journal
hold_confined eight bob s0:c1,c2 --yes "$MF_EDU" "$MF_NIC"
wait_journal 'Label=red is no context' -u iommud-helper >/dev/null
assert_labelled "$former"
assert_contains "$(iommuctl groups)" red
let_go eight
wait_idle
assert_back
