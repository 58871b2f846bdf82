# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: sriov
# root: debian
# timeout: 3000
#
# Fifty clients take eight virtual functions from each other, while now the broker, now the helper is killed, at whatever moment it is:
# no device is ever with two, and in the end nothing is left, neither lease, driver, override, claim, descriptor nor process. `make soak`
# does it 300 times.

. /payload/guest/iommud.sh
. /payload/guest/sriov.sh
kills=10
[[ -z $SOAK ]] || kills=300

sriov_begin
set_vfs "$VF_MAX"
mapfile -t addresses < <(vf_addresses)
start_iommud
{
	for address in "${addresses[@]}"; do
		printf '[Match]\nAddress=%s\n[Client]\nUser=*\n[Grant]\nAction=allow\n' "$address"
	done
} | set_policy 50-vfs

look()
{
	local unit pid

	for unit in iommud iommud-helper; do
		pid=$(main_pid $unit)
		echo "$unit: $(find "/proc/$pid/fd" -mindepth 1 | wc -l) descriptors"
	done
	echo "$(pgrep --count --full iommud-worker || true) workers"
	echo "$(systemctl show -p NFileDescriptorStore --value iommud) in systemd's store"
	echo "claims: $(tail -n +2 /sys/kernel/debug/iommud/claims | wc -l)"
	find /run/iommud-helper -type f ! -name 'lock-*' -printf '%f\n' | sort
	baseline_devices
}

# One lease has both daemons started, and allocate what they keep.
one_lease()
{
	systemctl restart iommud-helper iommud
	as bob iommuctl run --backend=iommufd "${addresses[0]}" -- true
	wait_idle
	udev_settle
}

one_lease
before=$(look)
hold churn root churn 50 "${addresses[@]}"
wait_held churn churning >/dev/null
exec {granted}< <(exec tail --pid=$$ --lines=+1 -F "$state/churn.out" 2>/dev/null)
defer kill $!
i=0
while ((i < kills)); do
	unit=iommud
	((RANDOM % 2)) || unit=iommud-helper
	# As many leases later as chance will have it; the others are at whatever moment it is for them.
	for ((n = RANDOM % 6 + 1; n > 0; n--)); do
		read -r -t 100 -u "$granted" || fail "no lease was granted for 100 s, after $i kills"
	done
	# It may not be there again yet.
	pid=$(main_pid $unit)
	((pid > 0)) || continue
	kill -KILL "$pid"
	i=$((i + 1))
	# Being killed is no reason to give up here.
	systemctl reset-failed iommud iommud-helper
done
exec {granted}<&-
let_go churn
note "$kills kills: $(tail -n 1 "$state/churn.out")"
assert_eq 0 "$ended" "exit status of the clients"
wait_idle
one_lease
assert_eq "$before" "$(look)" "what is there afterwards"
