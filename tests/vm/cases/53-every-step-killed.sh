# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 500
#
# A group of three is taken whole and given back, and a process is killed at one step, each in its turn: sysfs is as before,
# no lease and no transaction is left, and the devices can be leased again. Steps are the calls that others see something of;
# between two of them a kill is the same as at the second.

. /payload/guest/iommud.sh
. /payload/guest/every-step.sh

at_every_step workers kill write,exit
at_every_step helper kill write,clone
note "$points points"
