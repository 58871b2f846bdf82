# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# A group has one label at a time: a client with another one waits, and a policy that would mix them is not loaded.

. /payload/guest/iommud.sh
start_iommud
unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle
rule()
{
	printf '[Match]\nAddress=%s\n[Client]\nUser=%s\n[Grant]\nAction=allow\nGroupScope=whole\nLabel=%s\n' "$@"
}
{
	rule '0000:00:07.*' bob red
	rule '0000:00:07.*' carol blue
} | set_policy 50-labels
watch_events

hold_lease one bob --yes "$MF_EDU"
assert_contains "$(iommuctl groups)" "red"
status=0
error=$(as carol iommuctl acquire --yes "$MF_NIC" 2>&1) || status=$?
assert_eq 4 "$status" "exit status of who comes with another label"
assert_contains "$error" red
assert_contains "$error" blue
event=$(wait_event '"labelRefused"')
assert_contains "$event" '"uid":1002'
# The name of the error, and both labels as fields of it.
token=$(iommuctl explain --json=short --as=bob "$MF_NIC" | sed -n 's/.*"token":"\([0-9a-f]*\)".*/\1/p')
error=$(expect_fail as carol varlinkctl -j call /run/iommud/io.iommud io.iommud.Acquire \
	"{\"devices\":[\"$MF_NIC\"],\"consent\":\"$token\"}" 2>&1)
assert_contains "$error" io.iommud.LabelMismatch
assert_contains "$error" '"label":"red","otherLabel":"blue"'

# The first lets go: the group is anybody's again, under the other's label.
let_go one
wait_event '"leaseReleased"*"lease":'"$lease"',' >/dev/null
hold_lease two carol --yes "$MF_NIC"
assert_contains "$(iommuctl groups --json=short)" '"label":"blue"'
let_go two
wait_event '"leaseReleased"*"lease":'"$lease"',' >/dev/null

# One client, two labels in one group.
mkdir -p "$state/mixed"
{
	rule "$MF_NIC" bob red
	rule "$MF_EDU" bob blue
} >"$state/mixed/50-mixed.policy"
status=0
error=$(iommuctl policy check "$state/mixed" 2>&1) || status=$?
assert_eq 1 "$status" "exit status of policy check"
for text in red blue "$MF_NIC" "$MF_EDU" "$state/mixed/50-mixed.policy:"; do
	assert_contains "$error" "$text"
done

mark_journal
defer rm -f "$policy_dir/40-mixed.policy"
cp "$state/mixed/50-mixed.policy" "$policy_dir/40-mixed.policy"
systemctl reload iommud
wait_journal 'stays in force' -u iommud
assert_contains "$(journal_since -u iommud)" blue
# And the former one is.
assert_contains "$(iommuctl explain --json=short --as=bob "$MF_EDU")" '"label":"red"'
