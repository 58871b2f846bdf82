# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# A whole group goes out from its host drivers, and comes back to them in whatever order its descriptors are closed: the
# kernel denies a host driver to one member as long as another's are out.

. /payload/guest/iommud.sh
start_iommud
set_policy 50-slot <<END
[Match]
Address=$MF_NIC $MF_NVME $MF_EDU
[Client]
User=bob
[Grant]
Action=allow
GroupScope=whole
END
watch_events

for order in '2 1 0' '0 1 2' '1 0 2'; do
	# Kept open by a shell that closes the connection first, and then the devices one by one, as it is told.
	rm -f "$state/orders"
	mkfifo "$state/orders"
	exec {orders}<>"$state/orders"
	# shellcheck disable=SC2016 # for the shell that is run
	spawn_as bob iommuctl run "$MF_NIC" "$MF_NVME" "$MF_EDU" -- bash -c '
		edu-dma --device "$IOMMUD_DEVICE_FD_2" --iommu "$IOMMUD_IOMMU_FD" || exit
		for link in /proc/$$/fd/*; do
			[[ $(readlink "$link") != socket:* ]] || eval "exec ${link##*/}>&-"
		done
		echo closed
		while read -r n; do
			name=IOMMUD_DEVICE_FD_$n
			eval "exec ${!name}>&-"
			echo "gone $n"
		done' <"$state/orders" >"$state/out" 2>&1
	wait_line "$state/out" closed 30 >/dev/null
	wait_event '"leaseLingering"' >/dev/null
	for n in $order; do
		echo "$n" >&"$orders"
		wait_line "$state/out" "gone $n" 20 >/dev/null
	done
	wait_idle
	kill "$spawned"
	wait "$spawned" || true
	exec {orders}>&-
	assert_driver "$MF_NIC" e1000
	assert_driver "$MF_NVME" nvme
	assert_driver "$MF_EDU" none
	assert_eq none "$(override_of "$MF_NIC")" "override"
done
expect_fail grep restoreFailed "$events"
