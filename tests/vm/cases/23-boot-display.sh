# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# The display that the machine booted with is not given away, rule or not.

. /payload/guest/iommud.sh
start_iommud
allow 50-bob bob "$VGA"

explanation=$(iommuctl explain "$VGA" --as bob)
assert_contains "$explanation" "$VGA is the boot display, and in use by its driver, bochs-drm (boot_vga)"
assert_contains "$explanation" "echo $VGA >/sys/bus/pci/drivers/bochs-drm/unbind"
assert_contains "$explanation" "$policy_dir/50-bob.policy:1"
explanation=$(as bob iommuctl explain --json=short "$VGA")
assert_contains "$explanation" '"allowed":false'
assert_contains "$explanation" '{"kind":"bootDisplay","device":"'"$VGA"'","driver":"bochs-drm"'
assert_contains "$(iommuctl describe --json=short "$VGA")" '"bootDisplay":true'
assert_contains "$(iommuctl groups)" "$VGA is the boot display, and in use"

status=0
error=$(as bob iommuctl acquire "$VGA" 2>&1 </dev/null) || status=$?
assert_eq 5 "$status" "exit status"
assert_contains "$error" "the boot display"
assert_driver "$VGA" bochs-drm
assert_eq none "$(override_of "$VGA")" "override"

# The name of the error, for programs.
error=$(expect_fail as bob varlinkctl call /run/iommud/io.iommud io.iommud.Acquire "{\"devices\":[\"$VGA\"]}" 2>&1)
assert_contains "$error" io.iommud.GroupNotViable
