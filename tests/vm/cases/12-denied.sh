# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# Who may not have a device is told by which rule, and nothing is touched.

. /payload/guest/iommud.sh
start_iommud
set_policy 50-deny <<END
# In the way of the next one.
[Match]
Address=$NIC
[Client]
User=alice
[Grant]
Action=deny

[Match]
Address=$NIC
[Client]
User=*
[Grant]
Action=allow
END
mark_journal
watch_events
generation=$(stat -c %Y.%i "/sys/bus/pci/devices/$NIC/driver")

status=0
error=$(as alice iommuctl acquire "$NIC" 2>&1) || status=$?
assert_eq 3 "$status" "exit status by a rule"
assert_contains "$error" "$policy_dir/50-deny.policy:2"
assert_contains "$(wait_event '"leaseDenied"*"uid":1000')" "$NIC"

# No rule fits at all; run does not get to its command.
status=0
error=$(as alice iommuctl run "$EDU" -- echo started 2>&1) || status=$?
assert_eq 3 "$status" "exit status without a rule"
assert_contains "$error" "no rule fits"
assert_contains "$error" "uid 1000"
[[ $error != *started* ]]
wait_event '"leaseDenied"*'"$EDU" >/dev/null

# Root is nobody special: there is no rule for it.
expect_status 3 iommuctl acquire "$EDU" </dev/null

assert_driver "$NIC" e1000e
assert_eq none "$(override_of "$NIC")" "override of $NIC"
assert_eq none "$(override_of "$EDU")" "override of $EDU"
assert_eq "$generation" "$(stat -c %Y.%i "/sys/bus/pci/devices/$NIC/driver")" "the link to the driver"
unwatch_events
expect_fail grep -E 'driverBound|driverUnbound' "$events"
assert_eq '' "$(journal_since -u iommud-helper --grep=prepare || true)" "what the helper did"

# What is denied to alice is not denied to bob.
assert_contains "$(as bob iommuctl explain "$NIC")" "$policy_dir/50-deny.policy:9"
as bob iommuctl acquire "$NIC" </dev/null
wait_idle
assert_driver "$NIC" e1000e
