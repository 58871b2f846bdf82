# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 600
#
# As 53-every-step-killed, but it is the broker that is killed: its steps are what it sends, to the helper, to clients and to
# the log.

. /payload/guest/iommud.sh
. /payload/guest/every-step.sh

at_every_step broker kill sendmsg,send
note "$points points"
