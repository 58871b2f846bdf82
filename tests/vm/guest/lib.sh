# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What cases are written with. Sourced by run-cases before each of them, under
# "set -euo pipefail". Nothing here sleeps: what has to be waited for is waited
# for by its event.
#
# Known by name are the machine's devices ($EDU, $NIC, ...: machines/NAME),
# $MACHINE, and $TINY: yes where neither systemd nor udevd runs.

shopt -s inherit_errexit
set -o errtrace
trap 'echo "failed at ${BASH_SOURCE##*/}:$LINENO: $BASH_COMMAND" >&2' ERR

# The test clients (tests/vm/clients)
PATH=$PATH:/usr/lib/iommud-test

state=/run/iommud-test

# ---- ends of a case ----

# fail WHAT: ends the case
fail()
{
	echo "fail: $*" >&2
	exit 1
}

# skip REASON: ends the case; it counts as neither passed nor failed
skip()
{
	echo "$*" >"$state/skip"
	exit 77
}

# note TEXT: it stands with the results, also when the case passes
note()
{
	echo "$*" >>"$state/note"
}

deferred=()

# defer COMMAND ARG...: run it when the case ends, however it ends, last one first
defer()
{
	deferred+=("$(printf '%q ' "$@")")
}

# Puts back what the helpers below changed; what the daemon changed is the
# daemon's to put back, and baseline_check looks whether it did.
cleanup()
{
	local status=$? i job

	set +e
	trap - ERR
	for ((i = ${#deferred[@]} - 1; i >= 0; i--)); do
		eval "${deferred[i]}"
	done
	for job in $(jobs -p); do
		kill "$job" 2>/dev/null
	done
	wait
	exit "$status"
}

# ---- asserting ----

assert_eq()
{
	local expected=$1 actual=$2 what=${3:-value}

	[[ $expected == "$actual" ]] || fail "$what: expected '$expected', got '$actual'"
}

assert_contains()
{
	local text=$1 part=$2

	[[ $text == *"$part"* ]] || fail "'$part' is not in: $text"
}

# expect_fail COMMAND ARG...: it must fail; its output stays visible
expect_fail()
{
	if "$@"; then
		fail "succeeded, and should not have: $*"
	fi
}

# expect_status STATUS COMMAND ARG...
expect_status()
{
	local expected=$1 status=0

	shift
	"$@" || status=$?
	assert_eq "$expected" "$status" "exit status of $*"
}

# ---- users ----

# as USER COMMAND ARG...: with the user's ids, groups and environment, no capabilities
as()
{
	local user=$1

	shift
	setpriv --reuid="$user" --regid="$user" --init-groups --reset-env "$@"
}

# spawn_as USER COMMAND ARG...: the same in the background; its pid, for kill, is in $spawned
spawn_as()
{
	local user=$1

	shift
	# Said explicitly, stdin stays; without, bash gives a background command /dev/null.
	setpriv --reuid="$user" --regid="$user" --init-groups --reset-env "$@" <&0 &
	# shellcheck disable=SC2034 # for the caller
	spawned=$!
}

# ---- devices ----

# driver_of ADDR: its name, or none
driver_of()
{
	local link

	link=$(readlink "/sys/bus/pci/devices/$1/driver") || link=none
	echo "${link##*/}"
}

# override_of ADDR: its driver_override, or none
override_of()
{
	local override

	override=$(<"/sys/bus/pci/devices/$1/driver_override")
	[[ $override != '(null)' ]] || override=none
	echo "$override"
}

# group_of ADDR: the number of its IOMMU group
group_of()
{
	local link

	link=$(readlink "/sys/bus/pci/devices/$1/iommu_group") || fail "$1 has no IOMMU group"
	echo "${link##*/}"
}

# members_of ADDR: the addresses of all devices of its group, in order, on one line
members_of()
{
	local members

	members=$(ls "/sys/bus/pci/devices/$1/iommu_group/devices")
	echo "${members//$'\n'/ }"
}

assert_driver()
{
	assert_eq "$2" "$(driver_of "$1")" "driver of $1"
}

# Remembers that a helper changed the device, so that cleanup puts it back.
touch_device()
{
	[[ " ${deferred[*]} " != *"restore_device $1 "* ]] || return 0
	defer restore_device "$1"
}

write_override()
{
	local override=${2/#none/}

	# An empty write(2) never reaches the kernel; a newline clears it.
	echo "$override" >"/sys/bus/pci/devices/$1/driver_override"
}

# move_device ADDR DRIVER: DRIVER may be none; does nothing when it is there
move_device()
{
	local address=$1 driver=$2

	[[ $(driver_of "$address") != "$driver" ]] || return 0
	if [[ $(driver_of "$address") != none ]]; then
		echo "$address" >"/sys/bus/pci/devices/$address/driver/unbind"
	fi
	[[ $driver == none ]] || echo "$address" >"/sys/bus/pci/drivers/$driver/bind"
}

# set_override ADDR DRIVER|none
set_override()
{
	touch_device "$1"
	write_override "$1" "$2"
}

# bind_driver ADDR DRIVER: by override, as a broker or driverctl does it
bind_driver()
{
	touch_device "$1"
	write_override "$1" "$2"
	move_device "$1" "$2"
	assert_driver "$1" "$2"
}

# unbind_driver ADDR
unbind_driver()
{
	touch_device "$1"
	move_device "$1" none
}

# restore_device ADDR: to the driver and override it had at boot
restore_device()
{
	local address driver override

	while read -r address driver override; do
		[[ $address == "$1" ]] || continue
		# A device without a driver at boot stays without: no override, no probe.
		write_override "$address" "$driver"
		move_device "$address" "$driver"
		write_override "$address" "$override"
	done <"$state/baseline"
}

# ---- waiting ----

# wait_line FILE|FIFO PATTERN SECONDS: prints the first line that matches the
# pattern (a bash one, anywhere in the line). A file is read from its beginning
# and followed; of a fifo the lines up to the match are consumed.
wait_line()
{
	local file=$1 pattern=$2 end=$((SECONDS + $3)) line='' source follower='' found=no

	if [[ -p $file ]]; then
		exec {source}<>"$file"
	else
		exec {source}< <(exec tail --pid=$$ --lines=+1 -F "$file" 2>/dev/null)
		follower=$!
	fi
	while [[ $SECONDS -lt $end ]] && IFS= read -r -t $((end - SECONDS)) -u "$source" line; do
		# shellcheck disable=SC2053
		if [[ $line == *$pattern* ]]; then
			found=yes
			break
		fi
	done
	exec {source}<&-
	[[ -z $follower ]] || kill "$follower" 2>/dev/null || true
	[[ $found == yes ]] || fail "no line with '$pattern' in $file within $3 s"
	echo "$line"
}

# udev_settle: until udevd is done with all that happened so far
udev_settle()
{
	[[ $TINY == yes ]] || udevadm settle --timeout=30
}

# wait_device ADDR, wait_no_device ADDR: until udevd has seen it come or go
wait_device()
{
	udevadm wait --timeout=30 "/sys/bus/pci/devices/$1"
}

wait_no_device()
{
	udevadm wait --removed --timeout=30 "/sys/bus/pci/devices/$1"
}

# ---- the baseline: what must be the same after every case ----

# Lines of "ADDR DRIVER OVERRIDE", each none where there is none.
baseline_devices()
{
	(
		cd /sys/bus/pci/devices || exit
		grep -H '' -- */driver_override
		find -- */driver -maxdepth 0 -printf '%h/driver/%l\n'
	) | awk -F / '
		sub(/^driver_override:/, "", $2) { override[$1] = $2 == "(null)" ? "none" : $2 }
		$2 == "driver" { driver[$1] = $NF }
		END { for (address in override)
			print address, address in driver ? driver[address] : "none", override[address] }
	' | sort
}

# Called once, before the first case.
baseline_save()
{
	mkdir -p "$state"
	baseline_devices >"$state/baseline"
}

# Called after each case; whatever it finds fails the case. The place to look for
# left-over leases, ACLs on nodes, claims and processes as well.
baseline_check()
{
	local now status=0

	udev_settle
	now=$(baseline_devices)
	diff -U 0 --label 'at boot' --label 'after the case' "$state/baseline" - <<<"$now" || status=1
	return $status
}

# Called when the check failed, so that the next case starts clean.
baseline_restore()
{
	local address rest

	while read -r address rest; do
		restore_device "$address" || echo "cannot restore $address $rest"
	done <"$state/baseline"
}
