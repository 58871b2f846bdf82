# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 180
#
# A client connects, leaves the connection to its child, and ends; its number goes to a process of a unit that is allowed the
# device, by the program that is allowed it. The connection has neither the unit nor the program of that process.

. /payload/guest/iommud.sh
start_iommud
call='{"method":"io.iommud.Acquire","parameters":{"devices":["'$NIC'"]}}'

# steal CLIENT_LINE...: the answer to a call of alice's by such a connection is in $answer
steal()
{
	local pid fd

	{
		printf '[Match]\nAddress=%s\n[Client]\nUser=alice\n' "$NIC"
		printf '%s\n' "$@"
		printf '[Grant]\nAction=allow\n'
	} | set_policy 50-owner
	hold thief alice pid-reuse connect /run/iommud/io.iommud "$call"
	pid=$(wait_held thief 'pid ')
	pid=${pid#pid }
	assert_eq "${holder[thief]}" "$pid" "the pid that connected"
	# Its end; its child keeps the connection.
	echo >&"${hold_fd[thief]}"
	fd=${hold_fd[thief]}
	reap thief
	[[ ! -e /proc/$pid ]] || fail "pid $pid was not reaped"
	hold owner root systemd-run --quiet --wait --collect --pipe --unit=owner.service --slice=owners.slice pid-reuse take "$pid"
	wait_held owner taken >/dev/null
	assert_contains "$(</proc/"$pid"/cgroup)" /owner.service
	assert_contains "$(readlink "/proc/$pid/exe")" /pid-reuse
	: >"$state/thief.out"
	echo >&"$fd"
	answer=$(wait_held thief '{')
	exec {fd}>&-
	let_go owner
}

# lawful CLIENT_LINE...: the same rule gives it to who is in the unit
lawful()
{
	hold owner root systemd-run --quiet --wait --collect --pipe --unit=owner.service --slice=owners.slice --uid=alice \
		pid-reuse stay /run/iommud/io.iommud "$call"
	wait_held owner 'pid ' >/dev/null
	echo >&"${hold_fd[owner]}"
	assert_contains "$(wait_held owner '{')" '"lease":'
	let_go owner
	wait_idle
}

for key in Unit=owner.service Slice=owners.slice "Executable=$(readlink -f "$(command -v pid-reuse)")" \
	Unit=!other.service Slice=!other.slice 'Executable=!/usr/bin/other' Unit=* ; do
	steal "$key"
	assert_contains "$answer" io.iommud.DeniedByPolicy
	lawful
done
assert_driver "$NIC" e1000e

# The connection itself is no less alice's: what her user is allowed, its child may have.
steal Group=alice
assert_contains "$answer" '"lease":'
wait_idle
