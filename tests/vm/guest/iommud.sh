# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What cases need to talk to iommud as it is installed: sourced by those that do, after lib.sh.

# Users do not have root's PATH.
ln -sf /usr/lib/iommud-test/* /usr/local/bin/

# What a pipe ends in may change variables: `... | set_policy NAME` defers something.
shopt -s lastpipe

policy_dir=/etc/iommud/policy.d
events=$state/events

# start_iommud: as README.md says, once a boot
start_iommud()
{
	systemctl enable --quiet --now iommud-helper.socket iommud.socket iommud.service
}

# forget_past: iommud has no lease, and has forgotten who had which device, in this case or one before
forget_past()
{
	systemctl stop iommud
	rm /run/iommud/broker/ledger
	systemctl start iommud
}

# watch_events: has `iommuctl monitor --json` write to $events, from now on
watch_events()
{
	: >"$events"
	without_holds iommuctl monitor --json >>"$events" &
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

# reload_policy: in force in both daemons when this returns
reload_policy()
{
	iommuctl reload >/dev/null
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

# wait_idle: until there is no lease
wait_idle()
{
	local line='' idle=no reader source

	exec {source}< <(exec iommuctl monitor --json)
	reader=$!
	while [[ $idle == no ]] && IFS= read -r -t 40 -u "$source" line; do
		[[ $line == *'"subscribed"'* || $line == *'"leaseReleased"'* ]] || continue
		[[ $(iommuctl status --json=short) != *'"leases":[]'* ]] || idle=yes
	done
	exec {source}<&-
	kill "$reader"
	[[ $idle == yes ]] || fail "a lease did not end: $(iommuctl status)"
}

# main_pid UNIT
main_pid()
{
	systemctl show -p MainPID --value "$1"
}

# ---- clients that keep a device ----

declare -A holder hold_fd

# hold NAME USER COMMAND ARG...: runs it in the background until let_go or slay; its stdin is open as long, its stdout
# goes to $state/NAME.out, its pid is ${holder[NAME]}
hold()
{
	local name=$1 user=$2 fd

	shift 2
	rm -f "$state/$name.in"
	mkfifo "$state/$name.in"
	: >"$state/$name.out"
	# The other holders' stdin must end when we close it.
	without_holds setpriv --reuid="$user" --regid="$user" --init-groups --reset-env "$@" \
		<"$state/$name.in" >>"$state/$name.out" &
	holder[$name]=$!
	exec {fd}>"$state/$name.in"
	hold_fd[$name]=$fd
	# Of a case that fails in between: devices must be let go before they are put back.
	defer slay_if_held "$name"
}

# wait_held NAME PATTERN: until it has said so
wait_held()
{
	wait_line "$state/$1.out" "$2" 40
}

# take_number NAME: of the lease that the holder says it has, into $lease
take_number()
{
	local line

	line=$(wait_held "$1" '"lease":')
	lease=${line#*'"lease":'}
	lease=${lease%%,*}
}

# hold_lease NAME USER ARG...: holds `iommuctl acquire ARG...`; the lease's number is in $lease
hold_lease()
{
	local name=$1 user=$2

	shift 2
	hold "$name" "$user" iommuctl acquire --json=short "$@"
	take_number "$name"
}

# without_holds COMMAND ARG...: becomes the command (so: in the background), without what keeps the stdins of holders open
without_holds()
{
	local fd

	for fd in "${hold_fd[@]}"; do
		exec {fd}>&-
	done
	exec "$@"
}

# let_go NAME: its stdin ends, and then so does it
let_go()
{
	local fd=${hold_fd[$1]}

	exec {fd}>&-
	reap "$1"
}

# slay NAME: it is killed, and gets no chance to say goodbye
slay()
{
	local fd=${hold_fd[$1]}

	kill -KILL "${holder[$1]}"
	exec {fd}>&-
	reap "$1"
}

slay_if_held()
{
	[[ -z ${hold_fd[$1]:-} ]] || slay "$1"
}

# in_unit UNIT SLICE USER COMMAND...: its exit status
in_unit()
{
	local unit=$1 slice=$2 user=$3

	shift 3
	systemd-run --quiet --wait --collect --pipe --unit="$unit" --slice="$slice" --uid="$user" "$@" </dev/null
}

# hold_lease_in UNIT NAME USER ARG...: as hold_lease, by a service
hold_lease_in()
{
	local unit=$1 name=$2 user=$3

	shift 3
	hold "$name" root systemd-run --quiet --wait --collect --pipe --unit="$unit" --uid="$user" \
		iommuctl acquire --json=short "$@"
	take_number "$name"
}

# reap NAME: waits for its end; its exit status is in $ended
reap()
{
	ended=0
	unset "hold_fd[$1]"
	# shellcheck disable=SC2034
	wait "${holder[$1]}" 2>/dev/null || ended=$?
}

# ---- the journal ----

# mark_journal: wait_journal and journal_since look from here on
mark_journal()
{
	journalctl --sync
	cursor=$(journalctl --lines=0 --show-cursor | sed -n 's/^-- cursor: //p')
}

# wait_journal PATTERN MATCH...: the first message that fits journalctl's matches (FIELD=VALUE) and the pattern
wait_journal()
{
	local pattern=$1 line='' reader source end=$((SECONDS + 40))

	shift
	# It ends when the journal is rotated under it.
	while [[ -z $line && $SECONDS -lt $end ]]; do
		exec {source}< <(exec journalctl --follow --lines=all --after-cursor="$cursor" --output=cat "$@" 2>/dev/null)
		reader=$!
		while IFS= read -r -t $((end > SECONDS ? end - SECONDS : 1)) -u "$source" line; do
			# shellcheck disable=SC2053
			[[ $line != *$pattern* ]] || break
			line=''
		done
		exec {source}<&-
		kill "$reader" 2>/dev/null || true
	done
	[[ -n $line ]] || fail "no message with '$pattern' ($*) in the journal"
	echo "$line"
}

# journal_since OPTION...: what was written since
journal_since()
{
	journalctl --sync
	journalctl --quiet --after-cursor="$cursor" --output=cat "$@"
}

# state_of ADDRESS: of the lease on it, or free
state_of()
{
	local state

	state=$(iommuctl describe --json "$1" | sed -n 's/.*"state": *"\([a-z]*\)".*/\1/p')
	echo "${state:-free}"
}

# set_config <TEXT: iommud.conf, in force when this returns, and the former one when the case ends
set_config()
{
	cp /etc/iommud/iommud.conf "$state/iommud.conf"
	defer drop_config
	cat >/etc/iommud/iommud.conf
	systemctl restart iommud-helper iommud
}

# without_module: iommud does without the kernel module until the case ends
without_module()
{
	set_config <<<$'[Kernel]\nKernelModule=off'
}

drop_config()
{
	cp "$state/iommud.conf" /etc/iommud/iommud.conf
	systemctl restart iommud-helper iommud
}

# ---- a driver that does not let go ----

# block_remove ADDRESS...: puts the devices on a driver whose remove() waits until let_remove
block_remove()
{
	local address

	modprobe block-remove
	defer rmmod block_remove
	for address; do
		bind_driver "$address" block-remove
	done
	defer let_remove
}

let_remove()
{
	echo N >/sys/module/block_remove/parameters/blocking
}

# wait_blocked ADDRESS: until somebody waits in its remove(); mark_journal before
wait_blocked()
{
	wait_journal "$1: remove() waits" _TRANSPORT=kernel >/dev/null
}

# assert_blocked ADDRESS: and nobody has let go of it since
assert_blocked()
{
	[[ $(journal_since _TRANSPORT=kernel) != *"$1: remove() goes on"* ]] || fail "$1 does not block any more"
}

# call_acquire NAME USER ADDRESS: asks in the background; the answer goes to $state/NAME.answer, the process is ${asker[NAME]}
declare -A asker
call_acquire()
{
	spawn_as "$2" varlinkctl -j call /run/iommud/io.iommud io.iommud.Acquire "{\"devices\":[\"$3\"]}" \
		>"$state/$1.answer" 2>&1
	# shellcheck disable=SC2034 # for the caller
	asker[$1]=$spawned
}
