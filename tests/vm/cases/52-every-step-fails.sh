# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 400
#
# A group of three is taken whole and given back, and one step fails, each in its turn: sysfs is as before, no lease and no
# transaction is left, and the client had a named error or its devices.

. /payload/guest/iommud.sh
. /payload/guest/every-step.sh

# What moves a device, its lock, and what was found out about it before.
at_every_step workers fail write,flock
# The journal, and the starts of workers.
at_every_step helper fail write,clone
note "$points points"
