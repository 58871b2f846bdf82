#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# iommuctl's verbs, outputs and exit codes, against a scripted server.
set -u

build=$(realpath "${IOMMUD_BUILD:-build}")
source=$(realpath "$(dirname "$0")/../..")
export LD_LIBRARY_PATH=$build${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
unset IOMMUD_DAEMON NO_COLOR
dir=$(mktemp -d)
export IOMMUD_SOCKET=$dir/socket
server='' n=0

cleanup() {
	stop
	rm -rf "$dir"
}
trap cleanup EXIT

ctl() {
	timeout 30 "$build/iommuctl" "$@"
}

# ---- the server ----

# start: a server with the script of standard input. Its log is read by `logged`.
start() {
	cat >"$dir/script"
	mkfifo "$dir/log"
	"$build/tests/e2e/fake-iommud" "$IOMMUD_SOCKET" "$dir/script" >"$dir/log" &
	server=$!
	exec 5<"$dir/log"
	logged ready
}

stop() {
	[ -n "$server" ] || return 0
	kill "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	server=''
	exec 5<&-
	rm -f "$dir/log" "$IOMMUD_SOCKET"
}

# logged PATTERN...: the next lines of the server's log are these.
logged() {
	local pattern line
	for pattern; do
		read -r -t 20 line <&5 || line='(nothing)'
		# shellcheck disable=SC2254 # patterns they are
		case $line in
		$pattern) ;;
		*) complain "the server saw '$line', not '$pattern'"; return 1 ;;
		esac
	done
}

# ---- what is expected ----

complain() {
	printf '# %s\n' "$*"
	failed=1
}

# run CODE ARGUMENT...: iommuctl with these arguments; $out and $err are what it printed.
run() {
	run_with_input /dev/null "$@"
}

# run_with_input FILE CODE ARGUMENT...: the same with this standard input.
run_with_input() {
	local input=$1 expected=$2 code=0
	shift 2
	ctl "$@" >"$dir/out" 2>"$dir/err" <"$input" || code=$?
	out=$(cat "$dir/out") err=$(cat "$dir/err")
	[ "$code" -eq "$expected" ] || complain "iommuctl $*: exit code $code, not $expected: $err"
}

is() {
	[ "$1" = "$2" ] || complain "not as expected: $(diff <(echo "$2") <(echo "$1") | tr '\n' '|')"
}

has() {
	case $1 in
	*"$2"*) ;;
	*) complain "'$2' is not in: $1" ;;
	esac
}

has_not() {
	case $1 in
	*"$2"*) complain "'$2' is in: $1" ;;
	esac
}

# ---- the daemon's answers ----

edu='{"device":{"address":"0000:00:04.0","bus":"pci","group":5,"driver":"vfio-pci","vendorId":"0x1234","deviceId":"0x11e8","subsystemVendorId":"0x1af4","subsystemDeviceId":"0x1100","class":"0x00ff00","vendorName":"QEMU","deviceName":"edu","className":"Unclassified","numaNode":0,"physicalFunction":null,"parent":null,"joinedWith":[],"virtualFunctions":[],"resetMethods":["flr","bus"],"resetScope":"function","resetSet":["0000:00:04.0"],"quarantined":false,"bootDisplay":false,"pools":["fast-net","edu"],"lease":3,"state":"active"}'
nic='{"device":{"address":"0000:01:00.0","bus":"pci","group":12,"driver":"e1000e","vendorId":"0x8086","deviceId":"0x10d3","subsystemVendorId":"0x8086","subsystemDeviceId":"0x0000","class":"0x020000","vendorName":null,"deviceName":null,"className":null,"numaNode":null,"physicalFunction":null,"parent":null,"joinedWith":[],"virtualFunctions":[],"resetMethods":[],"resetScope":null,"resetSet":[],"quarantined":true,"bootDisplay":false,"pools":["fast-net"],"lease":null,"state":null}'
blockers='[{"kind":"foreignDriver","device":"0000:01:00.0","driver":"e1000e","message":"0000:01:00.0 is bound to e1000e","remedy":"bind it to vfio-pci"},{"kind":"firmwareMapping","device":null,"driver":null,"message":"group 12 has a firmware mapping","remedy":"turn it off in the firmware"}]'
group5='{"group":{"group":5,"generation":1,"devices":["0000:00:04.0"],"viable":true,"blockers":[],"reservedRegions":[{"start":"0x00000000fee00000","end":"0x00000000feefffff","type":"msi"}],"label":"blue"}'
group12="{\"group\":{\"group\":12,\"generation\":1,\"devices\":[\"0000:01:00.0\",\"0000:01:00.1\",\"0000:01:00.2\"],\"viable\":false,\"blockers\":$blockers,\"reservedRegions\":[],\"label\":null}"
bystanders='[{"device":"0000:01:00.1","vendorDevice":"8086:10d3","driver":"e1000e","action":"is unbound"},{"device":"0000:01:00.2","vendorDevice":"8086:10d4","driver":null,"action":"stays"}]'
iommufd='{"lease":3,"backend":"iommufd","label":"blue","iommuFileDescriptor":0,"containerFileDescriptor":null,"devices":[{"address":"0000:00:04.0","group":5,"deviceFileDescriptor":1,"groupFileDescriptor":null}]}'
legacy='{"lease":4,"backend":"legacy","label":null,"iommuFileDescriptor":null,"containerFileDescriptor":4,"devices":[{"address":"0000:00:04.0","group":5,"deviceFileDescriptor":0,"groupFileDescriptor":1},{"address":"0000:01:00.0","group":12,"deviceFileDescriptor":2,"groupFileDescriptor":3,"vfToken":"f81d4fae-7dec-41d0-a765-00a0c91e6bf6"}]}'

start_with_devices() {
	start <<-END
		call io.iommud.ListDevices "more":true
		more $edu}
		more $nic}
		reply {}
		call io.iommud.ListGroups "more":true
		more $group5}
		reply $group12}
		call io.iommud.Describe
		reply $edu,${group5#?}}
	END
}

# event NAME MESSAGE: of lease 3
event() {
	echo "{\"sequence\":1,\"event\":\"$1\",\"device\":null,\"group\":null,\"lease\":3,\"uid\":null,\"driver\":null,\"label\":null,\"viable\":null,\"message\":\"$2\"}"
}

subscribed=$(event subscribed 'events follow')

start_with_lease() {
	start <<-END
		call io.iommud.Acquire "0000:01:00.0"
		fds 5
		reply $legacy
		call io.iommud.Acquire
		fds 2
		reply $iommufd
		call io.iommud.Subscribe
		more $subscribed
	END
}

# ---- lists and sheets ----

lists_devices_in_aligned_columns() {
	start_with_devices
	run 0 list
	is "$out" 'ADDRESS       GROUP  DRIVER    STATE        LEASE  ID         NAME
0000:00:04.0  5      vfio-pci  active       3      1234:11e8  QEMU edu
0000:01:00.0  12     e1000e    quarantined  -      8086:10d3  -'
	run 0 --no-legend list
	is "$out" '0000:00:04.0  5   vfio-pci  active       3  1234:11e8  QEMU edu
0000:01:00.0  12  e1000e    quarantined  -  8086:10d3  -'
}

lists_devices_as_json() {
	start_with_devices
	run 0 list --json=short
	is "$(wc -l <"$dir/out")" 1
	is "$(head -c 28 "$dir/out")" '[{"address":"0000:00:04.0","'
	run 0 list --json
	has "$out" '"address": "0000:01:00.0"'
	run 0 list --json --json=off
	has "$out" ADDRESS
}

lists_groups_with_what_blocks_them() {
	start_with_devices
	run 0 groups
	is "$out" 'GROUP  VIABLE  LABEL  DEVICES       BLOCKED BY
5      yes     blue   0000:00:04.0
12     no      -      0000:01:00.0  0000:01:00.0 is bound to e1000e
                      0000:01:00.1  group 12 has a firmware mapping
                      0000:01:00.2'
}

shows_an_empty_list() {
	start <<<'call io.iommud.ListDevices
reply {}'
	run 0 list
	is "$out" 'ADDRESS  GROUP  DRIVER  STATE  LEASE  ID  NAME'
	run 0 list --no-legend
	is "$out" ''
	run 0 list --json=short
	is "$out" '[]'
}

describes_a_device() {
	start_with_devices
	run 0 describe 0000:00:04.0
	logged 'call {"method":"io.iommud.Describe","parameters":{"device":"0000:00:04.0"}}'
	is "$out" '            Device: 0000:00:04.0
            Vendor: QEMU (0x1234)
             Model: edu (0x11e8)
             Class: Unclassified (0x00ff00)
               Bus: pci
            Driver: vfio-pci
         NUMA node: 0
     Reset methods: flr, bus
         Reset set: 0000:00:04.0
             Pools: fast-net, edu
             State: active
             Lease: 3
             Group: 5
           Members: 0000:00:04.0
             Label: blue
          Reserved: 0x00000000fee00000-0x00000000feefffff msi
           Verdict: viable'
	run 0 describe 0000:00:04.0 --json=short
	has "$out" '"group":{"group":5,'
}

explains_what_would_be_refused() {
	start <<-END
		call io.iommud.Explain
		reply {"allowed":false,"decision":"group 12 is not viable","file":"/etc/iommud/policy.d/50-lab.policy","line":7,"groupScope":"whole","backend":"iommufd","label":"blue","group":12,"viable":false,"blockers":$blockers,"bystanders":$bystanders,"token":"cafe","passedRules":[{"file":"/etc/iommud/policy.d/10-a.policy","line":1,"action":"deny","key":"User","wanted":"bob carol","found":"1000"},{"file":"/etc/iommud/policy.d/10-a.policy","line":9,"action":"allow","key":"Unit","wanted":null,"found":"none"}],"morePassedRules":3,"resetScope":"bus","resetSet":["0000:01:00.0","0000:01:00.1"],"plan":["first","then"],"guarantees":["one","two"]}
	END
	run 0 explain 0000:01:00.0 --as=alice:kvm --backend iommufd
	logged 'call {"method":"io.iommud.Explain","parameters":{"device":"0000:01:00.0","as":"alice:kvm","backend":"iommufd"}}'
	is "$out" '            Device: 0000:01:00.0
            Answer: refused
          Decision: group 12 is not viable
              Rule: /etc/iommud/policy.d/50-lab.policy:7
       Passed over: /etc/iommud/policy.d/10-a.policy:1 (deny): User=bob carol, but it is 1000
                    /etc/iommud/policy.d/10-a.policy:9 (allow): another Unit than none
                    and 3 more
             Group: 12
       Group scope: whole
           Backend: iommufd
             Label: blue
           Verdict: not viable
           Blocker: 0000:01:00.0 is bound to e1000e
            Remedy: bind it to vfio-pci
           Blocker: group 12 has a firmware mapping
            Remedy: turn it off in the firmware
        Bystanders: 0000:01:00.1 (8086:10d3, driver e1000e): is unbound
                    0000:01:00.2 (8086:10d4, no driver): stays
     Consent token: cafe
         Reset set: 0000:01:00.0, 0000:01:00.1
              Plan: first
                    then
        Guarantees: one
                    two'
}

explains_what_would_be_granted() {
	start <<-END
		call io.iommud.Explain
		reply {"allowed":true,"decision":"rule at x:1 allows it","file":null,"line":null,"groupScope":"singleton","backend":"legacy","label":null,"group":5,"viable":true,"blockers":[],"bystanders":[],"token":null,"passedRules":[],"morePassedRules":0,"resetScope":"function","resetSet":["0000:00:04.0"],"plan":[],"guarantees":[]}
	END
	run 0 explain 0000:00:04.0
	is "$out" '            Device: 0000:00:04.0
            Answer: allowed
          Decision: rule at x:1 allows it
              Rule: none fits
             Group: 5
       Group scope: singleton
           Backend: legacy
           Verdict: viable
         Reset set: 0000:00:04.0'
	run 0 explain --json=short 0000:00:04.0
	has "$out" '{"allowed":true,'
}

shows_daemon_and_leases() {
	start <<-END
		call org.varlink.service.GetInfo
		reply {"vendor":"iommud","product":"iommud","version":"1.2","url":"u","interfaces":["io.iommud"]}
		call io.iommud.GetStatus
		reply {"kernelModule":{"use":"prefer","loaded":true,"abiVersion":1,"features":[]},"weaknesses":[]}
		call io.iommud.ListLeases
		more {"lease":{"lease":3,"state":"active","backend":"iommufd","label":"blue","devices":["0000:00:04.0","0000:00:05.0"],"groups":[5,6],"uid":1000,"pid":42,"holders":[]}}
		more {"lease":{"lease":14,"state":"lingering","backend":"legacy","label":null,"devices":["0000:01:00.0"],"groups":[12],"uid":-1,"pid":null,"holders":["pid 7 (qemu)","maybe pid 8 (x)"]}}
		reply {}
	END
	run 0 status
	is "$out" 'iommud 1.2 answers.
Kernel module: in use (KernelModule=prefer)
LEASE  STATE      BACKEND  LABEL  UID   PID  GROUPS  DEVICES
3      active     iommufd  blue   1000  42   5, 6    0000:00:04.0, 0000:00:05.0
14     lingering  legacy   -      -     -    12      0000:01:00.0
Lease 14: descriptors of its devices are with pid 7 (qemu), maybe pid 8 (x).'
	run 0 status --json=short
	has "$out" '{"daemon":{"vendor":"iommud",'
	has "$out" '"leases":[{"lease":3,'
}

shows_what_is_parked_for_a_lease() {
	start <<-END
		call org.varlink.service.GetInfo
		reply {"product":"iommud","version":"1.2"}
		call io.iommud.GetStatus
		reply {"kernelModule":{"use":"prefer","loaded":true,"abiVersion":1,"features":[]},"weaknesses":[]}
		call io.iommud.ListLeases
		more {"lease":{"lease":3,"state":"active","backend":"iommufd","label":null,"devices":["0000:00:07.2"],"parked":["0000:00:07.0","0000:00:07.1"],"groups":[5],"uid":1000,"pid":42}}
		more {"lease":{"lease":4,"state":"active","backend":"legacy","label":null,"devices":["0000:01:00.0"],"parked":[],"groups":[12],"uid":1000,"pid":42}}
		reply {}
	END
	run 0 status
	is "$out" 'iommud 1.2 answers.
Kernel module: in use (KernelModule=prefer)
LEASE  STATE   BACKEND  LABEL  UID   PID  GROUPS  DEVICES       PARKED
3      active  iommufd  -      1000  42   5       0000:00:07.2  0000:00:07.0, 0000:00:07.1
4      active  legacy   -      1000  42   12      0000:01:00.0  -'
}

says_what_is_weaker_without_the_module() {
	start <<-END
		call org.varlink.service.GetInfo
		reply {"product":"iommud","version":"1.2"}
		call io.iommud.GetStatus
		reply {"kernelModule":{"use":"off","loaded":false,"abiVersion":null,"features":[]},"weaknesses":["this is","and that"]}
		call io.iommud.ListLeases
		reply {}
	END
	run 0 status
	is "$out" 'iommud 1.2 answers.
Kernel module: not in use (KernelModule=off)
  this is
  and that
No leases.'
}

shows_that_there_are_no_leases() {
	start <<-END
		call org.varlink.service.GetInfo
		reply {"product":"iommud","version":"1.2"}
		call io.iommud.GetStatus
		reply {"kernelModule":{"use":"prefer","loaded":true,"abiVersion":1,"features":[]},"weaknesses":[]}
		call io.iommud.ListLeases
		reply {}
	END
	run 0 status
	is "$out" 'iommud 1.2 answers.
Kernel module: in use (KernelModule=prefer)
No leases.'
	run 0 status --no-legend
	is "$out" ''
}

colours_only_when_told_or_on_a_terminal() {
	start_with_devices
	run 0 groups --color=always
	has "$out" $'\033[1mGROUP\033[0m'
	has "$out" $'\033[32myes\033[0m'
	has "$out" $'\033[31mno\033[0m'
	run 0 groups
	has_not "$out" $'\033'
	if command -v script >/dev/null; then
		has "$(TERM=xterm script -qec "$build/iommuctl groups" /dev/null </dev/null)" $'\033[32myes'
		has_not "$(TERM=xterm NO_COLOR=1 script -qec "$build/iommuctl groups" /dev/null </dev/null)" $'\033'
		has_not "$(TERM=dumb script -qec "$build/iommuctl groups" /dev/null </dev/null)" $'\033'
		has_not "$(TERM=xterm script -qec "$build/iommuctl groups --color=never" /dev/null </dev/null)" $'\033'
	fi
}

control_characters_do_not_reach_the_terminal() {
	start <<'END'
call io.iommud.ListDevices
reply {"device":{"address":"a","deviceName":"x\u001b[2J\u0007y"}}
call io.iommud.Acquire
error io.iommud.DeniedByPolicy {"message":"no\u001b[2J"}
END
	run 0 list
	has "$out" 'x?[2J?y'
	run 3 acquire a
	is "$err" 'iommuctl: no?[2J'
}

# ---- monitor ----

monitor_script() {
	cat <<-END
		call io.iommud.Subscribe "more":true
		more {"sequence":0,"event":"subscribed","device":null,"group":null,"lease":null,"uid":null,"driver":null,"label":null,"viable":null,"message":"events follow"}
		more {"sequence":1,"event":"leaseGranted","device":"0000:00:04.0","group":5,"lease":3,"uid":1000,"driver":null,"label":null,"viable":null,"message":"lease 3 granted"}
		more {"sequence":2,"event":"verdictChanged","device":null,"group":12,"lease":null,"uid":null,"driver":null,"label":null,"viable":false,"message":"group 12 is not viable"}
	END
}

monitor_prints_each_event_at_once() {
	start < <(monitor_script)
	mkfifo "$dir/pipe"
	"$build/iommuctl" monitor >"$dir/pipe" 2>&1 &
	local monitor=$! line='' i
	exec 6<"$dir/pipe"
	# The server keeps silent after these, with the connection open: so they were not held back.
	for i in 'subscribed      -             events follow' 'leaseGranted    0000:00:04.0  lease 3 granted' \
		'verdictChanged  group 12      group 12 is not viable'; do
		read -r -t 20 line <&6
		is "${line#[0-9][0-9]:[0-9][0-9]:[0-9][0-9] }" "$i"
	done
	kill -INT "$monitor"
	kill "$monitor"
	wait "$monitor" 2>/dev/null
	exec 6<&-
	rm "$dir/pipe"
	logged 'call *' gone
}

monitor_prints_json_lines() {
	start < <(monitor_script; echo close)
	run 1 monitor --json
	is "$(wc -l <"$dir/out")" 3
	is "$(sed -n 2p "$dir/out" | head -c 39)" '{"sequence":1,"event":"leaseGranted","d'
	has "$err" 'iommud closed the connection'
}

monitor_ends_when_nobody_reads() {
	start < <(monitor_script)
	local code=0
	ctl monitor --json >/dev/full 2>"$dir/err" || code=$?
	is "$code" 1
	has "$(cat "$dir/err")" 'No space left'
}

# ---- acquire ----

acquire_holds_until_the_end_of_input() {
	start_with_lease
	mkfifo "$dir/in" "$dir/pipe"
	"$build/iommuctl" acquire 0000:00:04.0 <"$dir/in" >"$dir/pipe" 2>"$dir/err" &
	local acquire=$! line code=0
	exec 7>"$dir/in" 6<"$dir/pipe"
	read -r -t 20 line <&6
	is "$line" 'LEASE  BACKEND  LABEL  DEVICE        GROUP'
	read -r -t 20 line <&6
	is "$line" '3      iommufd  blue   0000:00:04.0  5'
	logged 'call *Acquire*{"devices":?"0000:00:04.0"?}}' 'call *Subscribe*{"lease":3}*'
	echo 'input is no end' >&7
	read -r -t 0 line <&5 && complain 'released before the end of input'
	exec 7>&-
	wait "$acquire" || code=$?
	is "$code" 0
	logged gone
	exec 6<&-
	rm "$dir/in" "$dir/pipe"
}

acquire_releases_at_a_signal() {
	local signal
	for signal in INT TERM HUP; do
		start_with_lease
		mkfifo "$dir/in" "$dir/pipe"
		# A shell lets its background jobs ignore SIGINT; env puts that right.
		env --default-signal=INT "$build/iommuctl" acquire 0000:00:04.0 --json=short <"$dir/in" >"$dir/pipe" 2>"$dir/err" &
		local acquire=$! line code=0
		exec 7>"$dir/in" 6<"$dir/pipe"
		read -r -t 20 line <&6
		is "$line" '{"lease":3,"backend":"iommufd","label":"blue","devices":[{"address":"0000:00:04.0","group":5,"vfToken":null}]}'
		kill -"$signal" "$acquire"
		wait "$acquire" || code=$?
		is "$code" 0
		logged 'call *Acquire*' 'call *Subscribe*' gone
		exec 6<&- 7>&-
		rm "$dir/in" "$dir/pipe"
		stop
	done
}

acquire_says_when_the_lease_is_over() {
	start <<-END
		call io.iommud.Acquire
		fds 2
		reply $iommufd
		close
	END
	mkfifo "$dir/in"
	exec 7<>"$dir/in"
	local code=0
	ctl acquire 0000:00:04.0 <"$dir/in" >"$dir/out" 2>"$dir/err" || code=$?
	is "$code" 1
	has "$(cat "$dir/err")" 'lease: iommud closed the connection'
	exec 7>&-
	rm "$dir/in"
}

# lets_go_after EVENT: acquire ends well at this event of its lease, having said why, though its input is open
lets_go_after() {
	start <<-END
		call io.iommud.Acquire
		fds 2
		reply $iommufd
		call io.iommud.Subscribe "lease":3
		more $subscribed
		more $(event violation 'not viable any more')
		more $(event "$1" 'lease 3 is taken back: why not')
	END
	mkfifo "$dir/in"
	exec 7<>"$dir/in"
	run_with_input "$dir/in" 0 acquire 0000:00:04.0
	is "$err" 'iommuctl: lease 3 is taken back: why not'
	logged 'call *Acquire*' 'call *Subscribe*' gone
	exec 7>&-
	rm "$dir/in"
	stop
}

acquire_lets_go_when_it_is_asked_to() {
	lets_go_after releaseRequested
	lets_go_after leaseLingering
	lets_go_after leaseReleased
}

acquire_ends_when_its_lease_was_over_before_it_subscribed() {
	start <<-END
		call io.iommud.Acquire
		fds 2
		reply $iommufd
		call io.iommud.Subscribe
		error io.iommud.NoSuchLease {"lease":3,"message":"no lease 3 is yours; it may be over"}
	END
	mkfifo "$dir/in"
	exec 7<>"$dir/in"
	run_with_input "$dir/in" 1 acquire 0000:00:04.0
	is "$err" 'iommuctl: no lease 3 is yours; it may be over'
	exec 7>&-
	rm "$dir/in"
}

# ---- revoke ----

revoke_names_lease_and_reason() {
	start <<-END
		call io.iommud.Revoke "lease":7
		error io.iommud.NoSuchLease {"lease":7,"message":"there is no lease 7"}
		call io.iommud.Revoke "lease":8
		error io.iommud.DeniedByPolicy {"device":"","file":null,"line":null,"message":"only root may"}
		call io.iommud.Revoke
		reply {}
	END
	run 0 revoke 3
	logged 'call *Revoke*{"lease":3}}' gone
	is "$out$err" ''
	run 0 revoke --reason='the "card" is broken' 3
	logged 'call *{"lease":3,"reason":"the ?"card?" is broken"}}'
	run 1 revoke 7
	is "$err" 'iommuctl: there is no lease 7'
	run 3 revoke 8
	is "$err" 'iommuctl: only root may'
	local word
	for word in x -1 ' 3' 3x 9223372036854775808 99999999999999999999 ''; do
		run 2 revoke -- "$word"
		has "$err" 'a lease is a number'
	done
}

acquire_sends_backend_and_consent() {
	start_with_lease
	run 0 acquire --backend=iommufd 0000:00:04.0 --consent=cafe
	logged 'call *"parameters":{"devices":?"0000:00:04.0"?,"backend":"iommufd","consent":"cafe"}}'
}

acquire_asks_for_a_pool() {
	start_with_lease
	run 0 acquire --pool=nets --count=1 --numa-node=0 --wait=60
	logged 'call *"parameters":{"pool":"nets","count":1,"numaNode":0,"waitSec":60}}' 'call *Subscribe*' gone
	run 0 acquire --wait 5 0000:00:04.0
	logged 'call *"parameters":{"devices":?"0000:00:04.0"?,"waitSec":5}}' 'call *Subscribe*' gone
}

what_does_not_go_with_a_pool_is_wrong_usage() {
	run 2 acquire
	has "$err" "which devices? 'acquire' takes addresses, or --pool=NAME"
	run 2 run -- true
	has "$err" "which devices? 'run' takes addresses, or --pool=NAME"
	run 2 acquire --pool=nets 0000:00:04.0
	has "$err" 'not both'
	run 2 acquire --count=1 0000:00:04.0
	has "$err" '--count goes with --pool'
	run 2 acquire --numa-node=1 0000:00:04.0
	has "$err" '--numa-node goes with --pool'
	local number
	for number in 0 17 -1 x 1x '' 99999999999; do
		run 2 acquire --pool=nets --count="$number"
		has "$err" "--count takes a number from 1 to 16, not '$number'"
	done
	run 2 acquire --pool=nets --wait=3601
	has "$err" "--wait takes a number from 1 to 3600, not '3601'"
	run 2 list --pool=nets
	has "$err" "'list' takes no --pool"
}

consent_script() {
	cat <<-END
		call io.iommud.Acquire "consent":"cafe"
		fds 2
		reply $iommufd
		call io.iommud.Acquire
		error io.iommud.ConsentRequired {"group":12,"bystanders":$bystanders,"token":"cafe","message":"group 12 has more members"}
		call io.iommud.Subscribe
		more $subscribed
	END
}

acquire_without_consent_shows_whom_it_affects() {
	start < <(consent_script)
	run 3 acquire 0000:00:04.0
	is "$err" 'iommuctl: group 12 has more members
  0000:01:00.1 (driver e1000e): is unbound
  0000:01:00.2 (no driver): stays
  remedy: --yes, or --consent=cafe'
}

acquire_with_yes_consents_once() {
	start < <(consent_script)
	run 0 acquire --yes 0000:00:04.0
	logged 'call *{"devices":?"0000:00:04.0"?}}' 'call *{"devices":?"0000:00:04.0"?,"consent":"cafe"}}' 'call *Subscribe*'
	is "$err" 'iommuctl: group 12 has other members, which are affected, too:
  0000:01:00.1 (driver e1000e): is unbound
  0000:01:00.2 (no driver): stays'
	stop
	start <<-END
		call io.iommud.Acquire
		error io.iommud.ConsentRequired {"group":12,"bystanders":$bystanders,"token":"f00d","message":"it changed"}
	END
	run 3 acquire --yes 0000:00:04.0
	logged 'call *' 'call *' gone
	has "$err" 'iommuctl: it changed'
}

# ---- refusals ----

every_refusal_has_its_exit_code() {
	local code error parameters
	while read -r code error parameters; do
		start <<<"call io.iommud.Acquire
error $error $parameters"
		run "$code" acquire 0000:00:04.0
		has "$err" 'iommuctl: it says why'
		stop
	done <<-END
		1 io.iommud.NoSuchDevice {"device":"0000:00:04.0","message":"it says why"}
		3 io.iommud.DeniedByPolicy {"device":"0000:00:04.0","file":null,"line":null,"message":"it says why"}
		5 io.iommud.GroupNotViable {"group":12,"blockers":$blockers,"message":"it says why"}
		3 io.iommud.ConsentRequired {"group":12,"bystanders":[],"token":"cafe","message":"it says why"}
		3 io.iommud.GroupNotSingleton {"group":12,"devices":["0000:00:04.0","0000:00:04.1"],"message":"it says why"}
		4 io.iommud.LabelMismatch {"group":12,"device":"0000:00:04.0","label":"a","otherLabel":"b","message":"it says why"}
		4 io.iommud.DeviceBusy {"device":"0000:00:04.0","group":12,"state":"active","holders":["uid 7"],"message":"it says why"}
		1 io.iommud.BackendUnavailable {"backend":"iommufd","message":"it says why"}
		3 io.iommud.QuotaExceeded {"quota":"leases","limit":4,"message":"it says why"}
		6 io.iommud.TimedOut {"step":"unbind","message":"it says why"}
		6 io.iommud.TimedOut {"step":"wait","message":"it says why"}
		1 io.iommud.NoSuchPool {"pool":"x","message":"it says why"}
		4 io.iommud.PoolExhausted {"pool":"x","free":0,"count":1,"message":"it says why"}
		1 io.iommud.PrepareFailed {"device":"0000:00:04.0","step":"bind","errno":22,"message":"it says why"}
		3 io.iommud.ResetScopeConflict {"device":"0000:00:04.0","scope":"none","resetSet":[],"conflicting":[],"message":"it says why"}
		3 org.varlink.service.PermissionDenied {"message":"it says why"}
		1 org.varlink.service.InvalidParameter {"parameter":"devices","message":"it says why"}
		1 io.iommud.SomethingNew {"message":"it says why"}
	END
}

refusals_say_what_would_help() {
	start <<-END
		call io.iommud.Acquire "a"
		error io.iommud.GroupNotViable {"group":12,"blockers":$blockers,"message":"group 12 is not viable"}
		call io.iommud.Acquire "b"
		error io.iommud.DeniedByPolicy {"device":"b","file":"/etc/x.policy","line":7,"message":"denied"}
		call io.iommud.Acquire "c"
		error io.iommud.DeniedByPolicy {"device":"c","file":"/etc/x.policy","line":7,"message":"/etc/x.policy:7 denies it"}
		call io.iommud.Acquire "d"
		error io.iommud.DeviceBusy {"device":"d","group":1,"state":"lingering","holders":["uid 7, pid 8","uid 9"],"message":"busy"}
		call io.iommud.Acquire "e"
		error io.iommud.GroupNotSingleton {"group":1,"devices":["e","f"],"message":"not alone"}
		call io.iommud.Acquire "f"
		error io.iommud.ResetScopeConflict {"device":"f","scope":"bus","resetSet":["f","g","h"],"conflicting":["g","h"],"message":"no reset"}
	END
	run 5 acquire a
	is "$err" 'iommuctl: group 12 is not viable
  0000:01:00.0 is bound to e1000e
    remedy: bind it to vfio-pci
  group 12 has a firmware mapping
    remedy: turn it off in the firmware'
	run 3 acquire b
	is "$err" 'iommuctl: denied
  rule: /etc/x.policy:7'
	run 3 acquire c
	is "$err" 'iommuctl: /etc/x.policy:7 denies it'
	run 4 acquire d
	is "$err" 'iommuctl: busy
  held by: uid 7, pid 8, uid 9'
	run 3 acquire e
	is "$err" 'iommuctl: not alone
  members: e, f'
	run 3 acquire f
	is "$err" 'iommuctl: no reset
  in the way of a reset: g, h'
}

faults_are_said_and_are_failures() {
	run 1 list
	is "$err" "iommuctl: no connection to iommud at $IOMMUD_SOCKET: No such file or directory; start it with 'systemctl start iommud.socket'"
	run 1 list --socket="$dir/other"
	has "$err" "iommud at $dir/other"
	start <<<'call io.iommud.ListDevices
close
call io.iommud.ListGroups
raw nonsense\0
call io.iommud.Acquire
fds 1
reply {}'
	run 1 list
	has "$err" 'iommud closed the connection'
	run 1 groups
	has "$err" "iommud's answer can't be understood"
	run 1 acquire a
	has "$err" "iommud's answer can't be understood"
	run 1 status
	has "$err" MethodNotFound
}

unwritten_output_is_a_failure() {
	start_with_devices
	local code=0
	ctl list >/dev/full 2>"$dir/err" || code=$?
	is "$code" 1
	has "$(cat "$dir/err")" 'could not be written'
}

# ---- run ----

run_passes_numbers_in_arguments() {
	start_with_lease
	# The server's files hold their index in its message.
	# shellcheck disable=SC2016
	run 0 run 0000:00:04.0 -- sh -c 'cat "/proc/self/fd/$1" "/proc/self/fd/$2"; echo " $3"' x '{device}' '{iommu}' '{{device} {"a":{}}'
	is "$out" '10 {device} {"a":{}}'
	stop
	start_with_lease
	# shellcheck disable=SC2016
	run 0 run 0000:00:04.0 0000:01:00.0 -- sh -c 'for n; do cat "/proc/self/fd/$n"; done' x '{device:0}' '{group:0}' '{device:1}' '{group:1}' '{container}'
	is "$out" 01234
}

run_passes_numbers_in_the_environment() {
	start_with_lease
	# shellcheck disable=SC2016
	IOMMUD_DEVICE_FD_1=999 IOMMUD_GROUP_FD_0=999 IOMMUD_CONTAINER_FD=999 run 0 run 0000:00:04.0 -- \
		sh -c 'cat /proc/self/fd/$IOMMUD_IOMMU_FD /proc/self/fd/$IOMMUD_DEVICE_FD_0; echo " $IOMMUD_LEASE $IOMMUD_BACKEND ${IOMMUD_DEVICE_FD_1-} ${IOMMUD_GROUP_FD_0-} ${IOMMUD_CONTAINER_FD-}"'
	is "$out" '01 3 iommufd   '
	# shellcheck disable=SC2016
	run 0 run 0000:00:04.0 0000:01:00.0 -- sh -c 'for n in $IOMMUD_DEVICE_FD_0 $IOMMUD_GROUP_FD_0 $IOMMUD_DEVICE_FD_1 $IOMMUD_GROUP_FD_1 $IOMMUD_CONTAINER_FD; do cat /proc/self/fd/$n; done; echo " $IOMMUD_LEASE $IOMMUD_BACKEND ${IOMMUD_IOMMU_FD-}"'
	is "$out" '01234 4 legacy '
}

run_passes_the_token_of_virtual_functions_in_the_environment() {
	start_with_lease
	# shellcheck disable=SC2016
	IOMMUD_VF_TOKEN_0=999 run 0 run 0000:00:04.0 -- sh -c 'echo "${IOMMUD_VF_TOKEN_0-none}"'
	is "$out" none
	# shellcheck disable=SC2016
	IOMMUD_VF_TOKEN_0=999 run 0 run 0000:00:04.0 0000:01:00.0 -- \
		sh -c 'echo "${IOMMUD_VF_TOKEN_0-none} $IOMMUD_VF_TOKEN_1"'
	is "$out" 'none f81d4fae-7dec-41d0-a765-00a0c91e6bf6'
}

run_tells_which_devices_the_pool_gave() {
	start <<-END
		call io.iommud.Acquire
		fds 5
		reply $legacy
	END
	# shellcheck disable=SC2016
	IOMMUD_DEVICE_2=stale run 0 run --pool=nets --count=2 -- sh -c 'cat /proc/self/fd/$1; echo " $IOMMUD_DEVICE_0 $IOMMUD_DEVICE_1 ${IOMMUD_DEVICE_2-}"' x '{device:1}'
	is "$out" '2 0000:00:04.0 0000:01:00.0 '
	run 2 run --pool=nets -- echo '{device:1}'
	has "$err" 'there are 1 devices'
}

run_becomes_the_command() {
	start_with_lease
	run 42 run 0000:00:04.0 -- sh -c 'exit 42'
	logged 'call *Acquire*' gone
	# shellcheck disable=SC2016
	run 143 run 0000:00:04.0 -- sh -c 'kill -TERM $$'
	logged 'call *Acquire*' gone
	run 0 run --backend=iommufd 0000:00:04.0 -- echo -- --json -h
	is "$out" '-- --json -h'
	mkfifo "$dir/pipe"
	# shellcheck disable=SC2016
	"$build/iommuctl" run 0000:00:04.0 -- sh -c 'echo $$' >"$dir/pipe" &
	is "$(cat "$dir/pipe")" $!
	wait $!
	rm "$dir/pipe"
}

a_lease_lives_as_long_as_whoever_inherited_it() {
	start_with_lease
	mkfifo "$dir/pipe"
	exec 7<>"$dir/pipe"
	local line
	# The command ends at once and leaves a process behind, as a VMM that goes to the background does.
	# shellcheck disable=SC2016
	run 0 run 0000:00:04.0 -- sh -c 'read -r line <"$1" >/dev/null 2>&1 &' x "$dir/pipe"
	logged 'call *Acquire*'
	read -r -t 0 line <&5 && complain 'the connection has ended with the command'
	echo end >&7
	logged gone
	exec 7>&-
	rm "$dir/pipe"
}

run_checks_names_before_it_takes_anything() {
	start_with_lease
	run 2 run 0000:00:04.0 0000:01:00.0 -- true '{device}'
	has "$err" '{device} could be each of 2 devices; write {device:0}'
	run 2 run 0000:00:04.0 -- true 'x{device:1}'
	has "$err" '{device:1}: there are 1 devices'
	run 2 run 0000:00:04.0 true
	has "$err" "follows a '--'"
	run 2 run 0000:00:04.0 --
	run 2 run -- true
	run 0 run 0000:00:04.0 -- true
	logged 'call *Acquire*' gone
}

run_says_what_the_backend_lacks() {
	start_with_lease
	run 1 run 0000:00:04.0 -- true '{container}'
	has "$err" '{container}: the backend iommufd has no such descriptor'
	logged 'call *Acquire*' gone
}

run_says_when_the_command_can_not_start() {
	start_with_lease
	run 127 run 0000:00:04.0 -- "$dir/missing"
	has "$err" "$dir/missing: No such file or directory"
	run 126 run 0000:00:04.0 -- "$dir"
	has "$err" "$dir: Permission denied"
}

run_refused_starts_nothing() {
	start <<<'call io.iommud.Acquire
error io.iommud.DeniedByPolicy {"message":"no"}'
	run 3 run 0000:00:04.0 -- touch "$dir/touched"
	[ ! -e "$dir/touched" ] || complain 'the command ran'
}

descriptors_never_become_standard_streams() {
	start_with_lease
	# shellcheck disable=SC2016
	ctl run 0000:00:04.0 -- sh -c 'echo $IOMMUD_IOMMU_FD $IOMMUD_DEVICE_FD_0 >"$1"' x "$dir/numbers" <&- >&- 2>&-
	local number
	for number in $(<"$dir/numbers"); do
		[ "$number" -gt 2 ] || complain "descriptor $number"
	done
	is "$(wc -w <"$dir/numbers")" 2
}

# ---- policy, usage, help ----

policy_asks_the_daemon() {
	cat >"$dir/daemon" <<-'END'
		#!/bin/sh
		printf '<%s>' "$@"
		exit 7
	END
	chmod +x "$dir/daemon"
	export IOMMUD_DAEMON=$dir/daemon
	run 7 policy check
	is "$out" '<--check-policy>'
	run 7 policy check '/a b' /c
	is "$out" '<--check-policy></a b></c>'
	run 7 policy list
	is "$out" '<--list-policy>'
	run 7 policy list --json /a
	is "$out" '<--list-policy=pretty></a>'
	run 7 policy --json=short list
	is "$out" '<--list-policy=short>'
	run 7 policy test /x.test /a
	is "$out" '<--test-policy></x.test></a>'
	run 2 policy test
	has "$err" 'which file?'
	run 2 policy check --json
	has "$err" "'policy check' takes no --json"
	export IOMMUD_DAEMON=$dir/missing
	run 1 policy check
	has "$err" "$dir/missing: No such file"
	unset IOMMUD_DAEMON
	run 2 policy
	run 2 policy chekc
	has "$err" "did you mean 'check'?"
}

usage_errors_have_a_hint() {
	run 2
	run 2 lst
	has "$err" "unknown verb 'lst'; did you mean 'list'?"
	run 2 frobnicate
	has "$err" "unknown verb 'frobnicate'"
	has_not "$err" mean
	run 2 list --jsn
	has "$err" "unknown option '--jsn'; did you mean '--json'?"
	run 2 list --yes
	has "$err" "'list' takes no --yes"
	run 2 --yes list
	run 2 list --json=ugly
	run 2 list --color=red
	run 2 list --no-legend=1
	has "$err" "option '--no-legend' takes no argument"
	run 2 list --socket
	has "$err" "option '--socket' needs an argument"
	run 2 list -x
	has "$err" "unknown option '-x'"
	run 2 list surplus
	run 2 explain
	has "$err" 'usage: iommuctl explain DEVICE'
}

verbs() {
	"$build/iommuctl" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

help_and_version_are_there() {
	local verb
	run 0 --help
	has "$out" monitor
	for verb in $(verbs); do
		run 0 "$verb" --help
		has "$out" "iommuctl [OPTION...] $verb"
		run 0 "$verb" -h
	done
	run 0 --version
	has "$out" 'iommuctl '
	local version=$out
	run 0 version
	is "$out" "$version"
	run 0 list --version
	is "$out" "$version"
}

every_verb_and_option_has_its_place_in_the_manual() {
	local verb option
	for verb in $(verbs); do
		grep -q "^\.It Cm $verb" "$source/src/iommuctl/iommuctl.1" || complain "iommuctl.1: $verb is missing"
	done
	for option in $(for verb in $(verbs); do "$build/iommuctl" "$verb" --help; done | grep -o '^  [-h, ]*--[a-z-]*' | grep -o '[a-z-]*$' | sort -u); do
		grep -qF -- "Fl ${option#-}" "$source/src/iommuctl/iommuctl.1" || complain "iommuctl.1: $option is missing"
	done
}

# ---- completion ----

# completes LINE WORD...: the line's end can become these.
completes() {
	local line=$1
	shift
	COMP_LINE=$line COMP_POINT=${#line} _iommuctl
	is "$(printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ')" "$(printf '%s\n' "$@" | sort | tr '\n' ' ')"
}

completion_knows_verbs_options_and_devices() {
	start_with_devices
	local ctl=$build/iommuctl
	# shellcheck source=/dev/null
	. "$source/src/iommuctl/iommuctl.bash-completion"
	completes 'iommuctl ex' explain
	# shellcheck disable=SC2046
	completes 'iommuctl ' $(verbs)
	completes 'iommuctl --json li' list
	completes 'iommuctl --socket /x li' list
	completes 'iommuctl list --no' --no-legend
	completes 'iommuctl acquire --y' --yes
	completes 'iommuctl list --y' ''
	completes 'iommuctl list --json=s' short
	completes 'iommuctl acquire --backend=i' iommufd
	completes 'iommuctl acquire --backend l' legacy
	completes 'iommuctl --color a' auto always
	completes 'iommuctl acquire --wait 5 --po' --pool
	completes "$ctl acquire --pool " edu fast-net
	completes "$ctl run --pool=f" fast-net
	completes 'iommuctl --color=a' auto always
	completes 'iommuctl policy ch' check
	completes 'iommuctl policy te' test
	completes "$ctl explain " 0000:00:04.0 0000:01:00.0
	completes "$ctl explain 0000:01" 01:00.0
	completes "$ctl run 0000:00:04.0 0000:0" 00:04.0 01:00.0
	completes "$ctl run 0000:00:04.0 -- qemu {io" '{iommu}'
	completes "$ctl list " ''
	stop
	completes "$ctl explain " ''
	has "$(complete -p iommuctl)" '-F _iommuctl'
}

completion_offers_just_the_options_that_a_verb_takes() {
	local verb line
	# shellcheck source=/dev/null
	. "$source/src/iommuctl/iommuctl.bash-completion"
	for verb in $(verbs); do
		line="iommuctl $verb --"
		COMP_LINE=$line COMP_POINT=${#line} _iommuctl
		is "$(printf '%s\n' "${COMPREPLY[@]}" | grep -v '^--$' | sort -u)" \
			"$("$build/iommuctl" "$verb" --help | grep -o '^  \(-h, \)\?--[a-z-]*' | grep -o -- '--[a-z-]*' | sort -u)"
	done
}

# ---- all of them ----

tests='
lists_devices_in_aligned_columns
lists_devices_as_json
lists_groups_with_what_blocks_them
shows_an_empty_list
describes_a_device
explains_what_would_be_refused
explains_what_would_be_granted
shows_daemon_and_leases
shows_what_is_parked_for_a_lease
shows_that_there_are_no_leases
colours_only_when_told_or_on_a_terminal
control_characters_do_not_reach_the_terminal
monitor_prints_each_event_at_once
monitor_prints_json_lines
monitor_ends_when_nobody_reads
acquire_holds_until_the_end_of_input
acquire_releases_at_a_signal
acquire_says_when_the_lease_is_over
acquire_lets_go_when_it_is_asked_to
acquire_ends_when_its_lease_was_over_before_it_subscribed
revoke_names_lease_and_reason
acquire_sends_backend_and_consent
acquire_asks_for_a_pool
what_does_not_go_with_a_pool_is_wrong_usage
acquire_without_consent_shows_whom_it_affects
acquire_with_yes_consents_once
every_refusal_has_its_exit_code
refusals_say_what_would_help
faults_are_said_and_are_failures
unwritten_output_is_a_failure
run_passes_numbers_in_arguments
run_passes_numbers_in_the_environment
run_passes_the_token_of_virtual_functions_in_the_environment
run_tells_which_devices_the_pool_gave
run_becomes_the_command
a_lease_lives_as_long_as_whoever_inherited_it
run_checks_names_before_it_takes_anything
run_says_what_the_backend_lacks
run_says_when_the_command_can_not_start
run_refused_starts_nothing
descriptors_never_become_standard_streams
policy_asks_the_daemon
usage_errors_have_a_hint
help_and_version_are_there
every_verb_and_option_has_its_place_in_the_manual
completion_knows_verbs_options_and_devices
completion_offers_just_the_options_that_a_verb_takes
'
# shellcheck disable=SC2086
set -- $tests
echo "1..$#"
for test; do
	n=$((n + 1)) failed=0
	$test
	stop
	if [ "$failed" -eq 0 ]; then echo "ok $n - $test"; else echo "not ok $n - $test"; fi
done
