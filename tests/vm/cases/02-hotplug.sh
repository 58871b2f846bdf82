# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# A device can be plugged and pulled from within a case, by the host's monitor.

host-monitor "device_add edu,id=hot,bus=rp-hot"
wait_device "$HOT"
assert_eq "$HOT" "$(members_of "$HOT")" "group of the plugged device"
host-monitor --event DEVICE_DELETED "device_del hot"
wait_no_device "$HOT"

error=$(expect_fail host-monitor "device_del no-such-device")
assert_contains "$error" "'no-such-device' not found"
