# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: tiny
# kernel: debug
# timeout: 240
#
# After 07-debug-promises, which counts on the order of a group before a device of it was removed.
#
# The module as Linux 6.1 gets it: groups are claimed as a whole, and no iommufd has one. What does not need more is as promised.

. /payload/guest/debug-kernel.sh

modprobe managed-dma
insmod /usr/lib/iommud-test/iommud-6.1.ko
leaks_begin
kmod-cases claims_all_members_or_none stub_may_come_and_others_may_not \
	a_driver_nobody_allowed_is_taken_off naming_a_host_driver_does_not_help legacy_takes_over_after_a_handoff \
	death_undoes_everything a_singleton_is_one_device_on_an_allowed_driver \
	a_joiner_gets_no_driver an_overflow_is_told
no_claim_is_left
nothing_leaked
rmmod iommud
rmmod managed-dma
locks_are_proved
