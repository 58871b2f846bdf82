# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: sriov
# root: debian
# timeout: 900
#
# Every virtual function is out at the same time, each with a process and a user of its own, and all come back: 200 times,
# after which nothing is left of it.

. /payload/guest/iommud.sh
. /payload/guest/sriov.sh
rounds=200

# Each is one of these users' alone.
users=(1000 1001 1002 2001 2002 2003 2004 2005)
sriov_begin
set_vfs "$VF_MAX"
mapfile -t addresses < <(vf_addresses)
assert_eq "$VF_MAX" "${#addresses[@]}" "virtual functions"
start_iommud
set_config <<<$'[Kernel]\nKernelModule=require'
players=()
rules=''
for i in "${!addresses[@]}"; do
	rules+="[Match]"$'\n'"Address=${addresses[i]}"$'\n[Client]\n'"User=${users[i]}"$'\n[Grant]\nAction=allow\n'
	players+=("${users[i]}:${addresses[i]}")
done
set_policy 50-vfs <<<"$rules"

# What must be the same afterwards.
look()
{
	local unit pid

	for unit in iommud iommud-helper; do
		pid=$(main_pid $unit)
		echo "$unit $pid: $(find "/proc/$pid/fd" -mindepth 1 | wc -l) descriptors," \
			"$(sed -n 's/^Threads:\t//p' "/proc/$pid/status") threads"
	done
	# Processes of the helper: workers that did not end.
	echo "$(pgrep --count --full iommud-worker || true) workers"
	baseline_devices
}

# The first round starts the helper, and has both allocate what they keep.
rounds 1 iommufd "${players[@]}"
rounds 1 legacy "${players[@]}"
wait_idle
udev_settle
before=$(look)

rounds "$rounds" iommufd "${players[@]}"

udev_settle
assert_eq "$before" "$(look)" "descriptors, threads, drivers and overrides"
assert_contains "$(iommuctl status --json=short)" '"leases":[]'
# And once more with the kernel's older interface.
rounds 10 legacy "${players[@]}"
udev_settle
assert_eq "$before" "$(look)" "descriptors, threads, drivers and overrides after the legacy rounds"

# The helper's journal has nothing open: a broker that starts would take it up, and hands out nothing before that.
mark_journal
systemctl restart iommud
rounds 1 iommufd "${players[@]}"
assert_eq '' "$(journal_since IOMMUD_EVENT=leaseRecovered)" "transactions that were left open"
