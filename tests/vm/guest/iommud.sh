# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What cases need to talk to iommud as it is installed: sourced by those that do, after lib.sh.

# Users do not have root's PATH.
ln -sf /usr/lib/iommud-test/* /usr/local/bin/

policy_dir=/etc/iommud/policy.d
events=$state/events

# start_iommud: as README.md says, once a boot
start_iommud()
{
	systemctl enable --quiet --now iommud-helper.socket iommud.socket iommud.service
}

# watch_events: has `iommuctl monitor --json` write to $events, from now on
watch_events()
{
	: >"$events"
	iommuctl monitor --json >>"$events" &
	watcher=$!
	wait_line "$events" '"subscribed"' 20 >/dev/null
}

# wait_event PATTERN: the first line of $events that has it
wait_event()
{
	wait_line "$events" "$1" 40
}

# unwatch_events: ends the watcher of watch_events
unwatch_events()
{
	kill "$watcher"
	wait "$watcher" || true
}

# reload_policy: and wait until it is in force
reload_policy()
{
	local log=$state/reload

	: >"$log"
	iommuctl monitor --json >>"$log" &
	local reader=$!
	wait_line "$log" '"subscribed"' 20 >/dev/null
	systemctl reload iommud
	wait_line "$log" '"policyLoaded"' 20 >/dev/null
	kill "$reader"
	wait "$reader" || true
}

# set_policy NAME <TEXT: one file, in force when this returns, and gone when the case ends
set_policy()
{
	cat >"$policy_dir/$1.policy"
	reload_policy
	[[ " ${deferred[*]} " != *"drop_policy $1 "* ]] || return 0
	defer drop_policy "$1"
}

drop_policy()
{
	rm -f "$policy_dir/$1.policy"
	systemctl is-active --quiet iommud || return 0
	reload_policy
}

# allow NAME USER ADDRESS [GRANT_LINE...]: set_policy with one rule
allow()
{
	local name=$1 user=$2 address=$3

	shift 3
	{
		printf '[Match]\nAddress=%s\n[Client]\nUser=%s\n[Grant]\nAction=allow\n' "$address" "$user"
		[[ $# -eq 0 ]] || printf '%s\n' "$@"
	} | set_policy "$name"
}

# state_of ADDRESS: of the lease on it, or free
state_of()
{
	local state

	state=$(iommuctl describe --json "$1" | sed -n 's/.*"state": *"\([a-z]*\)".*/\1/p')
	echo "${state:-free}"
}
