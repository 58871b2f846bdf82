# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: tiny
# kernel: debug
# timeout: 400
#
# Calls without sense from six processes for a minute, while the devices they name are bound, unbound, removed and found again.

. /payload/guest/debug-kernel.sh

bus=/sys/bus/pci

# put FILE TEXT: it may not be there just now, or be refused
put()
{
	{ echo "$2" >"$1"; } 2>/dev/null || true
}

# move ADDR DRIVER...: through all of them, round and round
move_about()
{
	local address=$1 driver

	shift
	while [[ -e $state/fuzz ]]; do
		for driver; do
			put "$bus/devices/$address/driver_override" "$driver"
			put "$bus/drivers/$driver/bind" "$address"
			put "$bus/drivers/$driver/unbind" "$address"
		done
	done
}

# Counts, so that one can see that it took place.
remove_and_find()
{
	local address found=0

	while [[ -e $state/fuzz ]]; do
		for address; do
			put "$bus/devices/$address/remove" 1
			put $bus/rescan 1
			[[ ! -d $bus/devices/$address ]] || found=$((found + 1))
		done
	done
	echo "$found" >"$state/found"
}

modprobe managed-dma
modprobe iommud
leaks_begin
touch_device "$EDU"
touch_device "$MF_EDU"
touch_device "$NIC"
touch_device "$NVME"

processes=()
for seed in 1 2 3 4 5 6; do
	kmod-fuzz "$seed" 60s "$EDU" "$MF_EDU" "$NVME" "$NIC" 0000:00:00.0 >"$state/fuzz.$seed" &
	processes+=($!)
done
: >"$state/fuzz"
move_about "$EDU" vfio-pci pci-stub managed-dma &
movers=($!)
move_about "$MF_EDU" vfio-pci managed-dma &
movers+=($!)
remove_and_find "$NIC" "$NVME" &
movers+=($!)
for process in "${processes[@]}"; do
	wait "$process"
done
rm "$state/fuzz"
wait "${movers[@]}"
note "$(cat "$state"/fuzz.* | awk '{ taken += $1; calls += $3 } END { print taken " of " calls " calls taken" }')," \
	"$(<"$state/found") devices removed and found"
[[ $(<"$state/found") -gt 0 ]] || fail "no device was removed"

no_claim_is_left
nothing_leaked
# The overrides of what joined a claim are taken back by work items, which are through when it is unloaded.
rmmod iommud
rmmod managed-dma
locks_are_proved
