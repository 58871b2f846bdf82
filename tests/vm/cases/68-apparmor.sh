# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: apparmor
# root: debian
# timeout: 600
#
# The profiles: both daemons run under theirs and do all that they are for, and AppArmor denies them nothing of it, but what they
# are not for. Descriptors get to clients that have profiles of their own, and rules tell clients apart by these.

. /payload/guest/iommud.sh
. /payload/guest/apparmor.sh

assert_confined()
{
	systemctl start iommud iommud-helper
	assert_eq 'iommud (enforce)' "$(confinement_of iommud)" "profile"
	assert_eq 'iommud-helper (enforce)' "$(confinement_of iommud-helper)" "profile"
}

# under PROFILE COMMAND ARG...: by bob
under()
{
	as bob aa-exec -p "$@"
}

# hold_dma NAME PROFILE ADDRESS...: by bob, who ignores SIGTERM
hold_dma()
{
	local name=$1 profile=$2

	shift 2
	# SIGTERM stays ignored in what the shell becomes.
	# shellcheck disable=SC2016
	hold "$name" bob aa-exec -p "$profile" -- sh -c 'trap "" TERM; exec "$@"' sh iommuctl run --backend=iommufd "$@" -- \
		edu-dma --hold --device '{device:0}' --iommu '{iommu}'
	wait_held "$name" holding >/dev/null
}

by_iommufd=(--device '{device}' --iommu '{iommu}')
by_legacy=(--device '{device}' --container '{container}' --group '{group}' --address "$EDU")

# exercise PROFILE: of the client; the descriptors of both backends, several devices, limits, and revocation
exercise()
{
	local event lease profile=$1

	assert_contains "$(under "$profile" iommuctl run --backend=iommufd "$EDU" -- edu-dma "${by_iommufd[@]}")" 'DMA ok'
	wait_idle
	assert_contains "$(under "$profile" iommuctl run --backend=legacy "$EDU" -- edu-dma "${by_legacy[@]}")" 'DMA ok'
	wait_idle
	assert_driver "$EDU" none

	watch_events
	hold_dma client "$profile" "$EDU" "$NIC" "$NVME"
	assert_eq 1073741824 "$(prlimit --pid "${holder[client]}" --memlock --output=SOFT --noheadings)" "RLIMIT_MEMLOCK"
	event=$(wait_event '"leaseGranted"*'"$EDU")
	lease=${event#*'"lease":'}
	iommuctl revoke "${lease%%,*}"
	wait_event '"clientSignalled"*SIGTERM' >/dev/null
	wait_event '"clientSignalled"*SIGKILL' >/dev/null
	reap client
	wait_idle
	assert_driver "$NIC" e1000e
	assert_driver "$NVME" nvme
	unwatch_events
}

apparmor_parser --replace /etc/apparmor.d/iommud /etc/apparmor.d/iommud-helper
start_iommud
systemctl restart iommud-helper iommud
assert_confined

# ---- what they are for ----

allow 50-bob bob "$EDU $NIC $NVME" MemlockLimit=1G RlimitMode=mm ReleaseTimeoutSec=1 OnReleaseTimeout=kill
exercise unconfined
assert_contains "$(as bob iommuctl explain "$EDU")" 50-bob.policy

# Neighbours are parked, and go back.
allow 60-slot carol "$MF_EDU" GroupScope=whole Bystanders=park
as carol iommuctl run --yes "$MF_EDU" -- edu-dma "${by_iommufd[@]}"
wait_idle
assert_driver "$MF_NIC" e1000
assert_driver "$MF_NVME" nvme

# A policy that is broken is not loaded, whoever is told to.
printf 'Actoin=deny\n' >"$policy_dir/70-broken.policy"
defer rm -f "$policy_dir/70-broken.policy"
expect_fail iommuctl reload 2>"$state/said"
assert_contains "$(<"$state/said")" 70-broken.policy:1
mark_journal
systemctl reload iommud iommud-helper
wait_journal 70-broken.policy:1 -u iommud-helper >/dev/null
wait_journal 70-broken.policy:1 -u iommud >/dev/null
as bob iommuctl run "$EDU" -- true
wait_idle
rm "$policy_dir/70-broken.policy"
systemctl reload iommud-helper iommud
reload_policy

# Both die while a device is out, and the lease goes on. The broker is stopped, and who has the device is found in /proc.
mark_journal
hold_dma client unconfined "$EDU"
kill -KILL "$(main_pid iommud-helper)"
wait_journal 'iommud-helper is gone' -u iommud >/dev/null
kill -KILL "$(main_pid iommud)"
wait_journal '1 leases go on' -u iommud IOMMUD_EVENT=restarted >/dev/null
assert_contains "$(iommuctl status)" "$EDU"
systemctl stop iommud
mark_journal
systemctl start iommud
wait_journal 'still out' -u iommud IOMMUD_EVENT=leaseLingering IOMMUD_DEVICE="$EDU" >/dev/null
assert_contains "$(iommuctl status)" "pid ${holder[client]} (edu-dma)"
let_go client
wait_idle
assert_driver "$EDU" none
assert_confined

# A journal that is damaged is kept under another name.
mark_journal
head -c 65536 /dev/zero >>/run/iommud-helper/journal
defer rm -f /run/iommud-helper/journal.damaged-1
systemctl restart iommud-helper
[[ -f /run/iommud-helper/journal.damaged-1 ]]

# A member of a leased group gets a driver.
without_module
unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
allow 60-slot carol "$MF_EDU" GroupScope=whole OnViolation=log
watch_events
hold_lease client carol --yes "$MF_EDU"
bind_driver "$MF_NIC" e1000
wait_event '"violation"' >/dev/null
unbind_driver "$MF_NIC"
wait_event '"violationEnded"' >/dev/null
let_go client
wait_idle
unwatch_events
drop_policy 60-slot
assert_confined

# ---- clients with profiles ----

programs='/usr/bin/{dash,iommuctl,true} mrix, /usr/lib/iommud-test/* mrix,'
includes='include <abstractions/base> include <abstractions/iommud-client>'
load_profile test-client 'flags=(attach_disconnected)' <<<"$includes $programs"
exercise test-client
mark_journal
hold_dma client test-client "$EDU"
systemctl stop iommud
systemctl start iommud
wait_journal "pid ${holder[client]} (edu-dma)" -u iommud IOMMUD_EVENT=leaseLingering IOMMUD_DEVICE="$EDU" >/dev/null
let_go client
wait_idle
assert_eq '' "$(denials test-client)" "what AppArmor denies the client"

# Rules ask for the profile, as long as it is enforced.
{
	printf '[Match]\nAddress=%s\n[Client]\nUser=bob\nAppArmor=test-client\n[Grant]\nAction=allow\n' "$EDU"
	printf '[Match]\nAddress=%s\n[Client]\nUser=bob\nExecutable=/usr/bin/iommuctl\n[Grant]\nAction=allow\n' "$NIC"
} | set_policy 50-bob
load_profile test-stranger 'flags=(attach_disconnected)' <<<"$includes $programs"
under test-client iommuctl run "$EDU" -- edu-dma "${by_iommufd[@]}"
wait_idle
under test-client iommuctl run "$NIC" -- true
wait_idle
expect_status 3 under test-stranger iommuctl acquire "$EDU" </dev/null
expect_status 3 under unconfined iommuctl acquire "$EDU" </dev/null
load_profile --complain test-client 'flags=(attach_disconnected)' <<<"$includes $programs"
expect_status 3 under test-client iommuctl acquire "$EDU" </dev/null

# What README.md says that such a profile needs, it needs: otherwise the descriptors are lost on their way, and the lease ends.
allow 50-bob bob "$EDU"
load_profile test-connected <<<"$includes $programs"
load_profile test-without 'flags=(attach_disconnected)' <<<"include <abstractions/base> $programs"
for profile in test-connected test-without; do
	expect_status 1 under "$profile" iommuctl run "$EDU" -- true 2>"$state/said"
	assert_contains "$(<"$state/said")" 'security module'
	wait_idle
	assert_driver "$EDU" none
	assert_contains "$(denials "$profile")" 'dev/iommu"'
done

assert_eq '' "$(denials iommud iommud-helper)" "what AppArmor denies the daemons"

# ---- what they are not for ----

# assert_denied PROFILE SCRIPT: even to root with all capabilities, who may do it otherwise
assert_denied()
{
	sh -c "$2"
	expect_fail aa-exec -p "$1" -- sh -c "$2"
}

device=/sys/bus/pci/devices/$EDU
for profile in iommud iommud-helper; do
	assert_denied $profile 'exec 3<>/etc/iommud/iommud.conf'
	assert_denied $profile 'exec 3</etc/shadow'
	assert_denied $profile 'exec 3<>/dev/vda'
	assert_denied $profile "exec 3>$device/remove"
	assert_denied $profile 'exec 3>/sys/bus/pci/drivers/vfio-pci/new_id'
	assert_denied $profile 'exec 3>/proc/sys/kernel/modprobe'
	assert_denied $profile 'exec 3>/proc/1/mem'
	assert_denied $profile 'exec true'
	assert_denied $profile 'kill -CONT 1'
done
assert_denied iommud "exec 3>$device/driver_override"
assert_denied iommud 'exec 3>/sys/bus/pci/drivers_probe'
assert_denied iommud 'exec 3</dev/vda'
assert_denied iommud 'exec 3</run/iommud-helper/journal'
assert_denied iommud-helper 'exec 3<>/dev/vfio/vfio'
denied=$(denials iommud iommud-helper)
for name in /etc/iommud/iommud.conf /etc/shadow /dev/vda "$EDU/remove" /proc/sys/kernel/modprobe "$EDU/driver_override"; do
	assert_contains "$denied" "$name\""
done

# ---- by hand, iommud reads what it is told ----

mkdir "$state/policies"
defer rm -r "$state/policies"
printf '[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=deny\n' >"$state/policies/50-any.policy"
chmod -R go+rX "$state"
iommuctl policy check "$state/policies"
as bob iommuctl policy check "$state/policies"
