# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 300
#
# iommud is restarted, killed, and replaced by a new file, while clients have devices: they keep their leases, their connections and
# the kernel module's claims, DMA goes on, and the next call on the same connection is answered; a subscription goes on with
# `resynced`. Who was in the midst of a call is told; who has gone meanwhile leaves nothing.

. /payload/guest/iommud.sh
start_iommud
set_policy 50-both <<END
[Match]
Address=$EDU $NIC $NVME
[Client]
User=bob carol
[Grant]
Action=allow
END
set_override "$NIC" e1000e

claims()
{
	tail -n +2 /sys/kernel/debug/iommud/claims | cut -d ' ' -f 1-3
}

# tell NAME LINE: a line on the holder's stdin
tell()
{
	echo "$2" >&"${hold_fd[$1]}"
}

# talk_acquire NAME USER ADDRESS BACKEND
talk_acquire()
{
	hold "$1" "$2" talk
	tell "$1" "{\"method\":\"io.iommud.Acquire\",\"parameters\":{\"devices\":[\"$3\"],\"backend\":\"$4\"}}"
	wait_held "$1" '"lease":' >/dev/null
}

list='{"method":"io.iommud.ListLeases","parameters":{},"more":true}'

hold edu bob iommuctl run --backend=iommufd "$EDU" -- edu-dma --again --device '{device}' --iommu '{iommu}'
wait_held edu 'going round' >/dev/null
talk_acquire nic carol "$NIC" legacy
talk_acquire nvme carol "$NVME" iommufd
tell nvme '{"method":"io.iommud.Subscribe","parameters":{},"more":true}'
wait_held nvme '"subscribed"' >/dev/null
leases=$(iommuctl status --all --json=short)
held=$(claims)
assert_eq 3 "$(wc -l <<<"$held")" "claims"

# What must hold after each restart, whatever way it came about.
goes_on()
{
	local broker=$1

	[[ $(main_pid iommud) != "$broker" ]] || fail "iommud was not restarted"
	assert_eq "${leases#*\"leases\"}" "$(iommuctl status --all --json=short | sed 's/.*"leases"//')" "leases after $2"
	assert_eq "$held" "$(claims)" "claims after $2"
	assert_driver "$NIC" vfio-pci
	kill -0 "${holder[edu]}"
	: >"$state/nic.out"
	tell nic "$list"
	wait_held nic "$NIC" >/dev/null
	wait_held nvme '"resynced"' >/dev/null
	: >"$state/nvme.out"
	assert_eq '' "$(journal_since IOMMUD_EVENT=leaseRecovered)" "devices that were put back"
	journal_since IOMMUD_EVENT=restarted | grep -q '3 leases go on, and 0 end'
}

for way in restart kill abort upgrade; do
	mark_journal
	broker=$(main_pid iommud)
	case $way in
	restart) systemctl restart iommud ;;
	kill) kill -KILL "$broker" ;;
	abort) kill -ABRT "$broker" ;;
	upgrade)
		cp /usr/sbin/iommud /usr/sbin/iommud.new
		mv /usr/sbin/iommud.new /usr/sbin/iommud
		systemctl restart iommud
		;;
	esac
	wait_journal ready -u iommud >/dev/null
	goes_on "$broker" "$way"
done

# It is the same for the helper, which leases do not need while they last.
mark_journal
broker=none
systemctl restart iommud-helper iommud
goes_on "$broker" "a restart of both"

# ---- in the midst of a call ----

kill_broker()
{
	mark_journal
	kill -KILL "$(main_pid iommud)"
	wait_journal ready -u iommud >/dev/null
}

# One that waits in line: it is told, and keeps what it had.
mark_journal
: >"$state/nic.out"
tell nic "{\"method\":\"io.iommud.Acquire\",\"parameters\":{\"devices\":[\"$EDU\"],\"waitSec\":600}}"
wait_journal 'waits' -u iommud IOMMUD_EVENT=leaseWaiting >/dev/null
kill_broker
wait_held nic io.iommud.Interrupted >/dev/null
tell nic "$list"
wait_held nic "$NIC" >/dev/null

# Half a call was received; the other half comes to the next one. Who is answered after it was sent tells that it was received.
: >"$state/nic.out"
tell nic 'half {"method":"io.iommud.ListLe'
iommuctl status >/dev/null
iommuctl status >/dev/null
kill_broker
tell nic 'rest ases","parameters":{},"more":true}'
wait_held nic io.iommud.Interrupted >/dev/null
tell nic "$list"
wait_held nic "$NIC" >/dev/null

# ---- who went meanwhile ----

mark_journal
kill -STOP "$(main_pid iommud)"
slay nic
kill -KILL "$(main_pid iommud)"
wait_journal 'free' -u iommud IOMMUD_EVENT=leaseReleased IOMMUD_DEVICE="$NIC" >/dev/null
assert_driver "$NIC" e1000e
assert_eq e1000e "$(override_of "$NIC")" "the administrator's override"
kill -0 "${holder[edu]}"

# ---- and in the end ----

let_go edu
assert_contains "$(<"$state/edu.out")" 'DMA ok: '
assert_eq 0 "$ended" "exit status of the client that did DMA all the time"
note "$(tail -n 1 "$state/edu.out")"
let_go nvme
wait_idle
assert_eq '' "$(claims)" "claims"
assert_driver "$NVME" nvme
as carol iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
