# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# The helper is killed while a device is out: what it has to put back is in its journal, and comes back exactly.

. /payload/guest/iommud.sh
start_iommud
allow 50-bob bob "$NIC"
set_override "$NIC" e1000e
mark_journal

hold_lease nic bob "$NIC"
assert_driver "$NIC" vfio-pci
helper=$(main_pid iommud-helper)
kill -KILL "$helper"
wait_journal 'iommud-helper is gone' -u iommud
# The lease is as it was.
assert_eq active "$(state_of "$NIC")" "state"
assert_driver "$NIC" vfio-pci

let_go nic
wait_journal 'free' -u iommud IOMMUD_EVENT=leaseReleased IOMMUD_DEVICE="$NIC"
assert_driver "$NIC" e1000e
assert_eq e1000e "$(override_of "$NIC")" "the administrator's override"
[[ $(main_pid iommud-helper) != "$helper" ]]

# Killed once more, with nothing out; the next thing is an Acquire.
mark_journal
kill -KILL "$(main_pid iommud-helper)"
wait_journal 'iommud-helper is gone' -u iommud
hold_lease nic bob "$NIC"
let_go nic
wait_idle
assert_driver "$NIC" e1000e
