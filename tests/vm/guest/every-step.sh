# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For cases in which something goes wrong once at every step of a lease of a whole group: sourced after iommud.sh. The group
# is slot 07, on e1000, nvme and nothing; the work is done by the client every-step.

# Daemons that are killed every second are started again all the same.
defer systemctl daemon-reload
for unit in iommud iommud-helper; do
	mkdir -p "/run/systemd/system/$unit.service.d"
	printf '[Unit]\nStartLimitIntervalSec=0\n' >"/run/systemd/system/$unit.service.d/every-step.conf"
	defer rm -r "/run/systemd/system/$unit.service.d"
done
systemctl daemon-reload
start_iommud
set_policy 50-every-step <<END
[Match]
Address=$MF_NIC $MF_NVME $MF_EDU $EDU
[Client]
User=bob
[Grant]
Action=allow
GroupScope=whole
END
# The names of interfaces are compared as well.
udev_settle

points=0

# at_every_step WHO HOW CALL,CALL...: as every-step says; adds to $points
at_every_step()
{
	local line

	echo "---- $*"
	mark_journal
	if ! every-step "$@" "$EDU" "$MF_NIC" "$MF_NVME" "$MF_EDU" | tee "$state/every-step"; then
		journal_since -u iommud -u iommud-helper | tail -n 40
		fail "not as before"
	fi
	line=$(tail -n 1 "$state/every-step")
	[[ $line == +([0-9])" points" && ${line% *} -gt 0 ]] || fail "no points: $line"
	points=$((points + ${line% *}))
	note "$line: $1 $2 at $3"
}
