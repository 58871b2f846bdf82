# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: tiny
# kernel: debug
# timeout: 240
#
# What the kernel module promises, with lockdep, KASAN and kmemleak looking on.

. /payload/guest/debug-kernel.sh

modprobe managed-dma
modprobe iommud
leaks_begin
kmod-cases
no_claim_is_left
nothing_leaked
rmmod iommud
rmmod managed-dma
locks_are_proved
