# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: selinux
# root: debian
# timeout: 500
#
# The policy module: both daemons run in their domains and do all that they are for, and SELinux denies them nothing; first
# permissive, where what would be denied is logged all at once, then enforcing. It stays loaded, so this is the last case of its
# machine.

. /payload/guest/iommud.sh
. /payload/guest/selinux.sh

domain_of()
{
	ps -o label= -p "$(main_pid "$1")"
}

hold_dma()
{
	local name=$1 level=$2

	shift 2
	# SIGTERM stays ignored in what the shell becomes.
	# shellcheck disable=SC2016
	hold "$name" bob runcon -l "$level" sh -c 'trap "" TERM; exec "$@"' sh iommuctl run --backend=iommufd "$@" -- \
		edu-dma --hold --device '{device:0}' --iommu '{iommu}'
	wait_held "$name" 'DMA ok'
}

# The descriptors of both backends, labels, what becomes of them, revocation, restarts.
exercise()
{
	local event

	systemctl restart iommud-helper iommud
	assert_contains "$(domain_of iommud)" :iommud_t:
	assert_contains "$(domain_of iommud-helper)" :iommud_helper_t:
	allow 50-bob bob "$EDU $NIC $NVME" Label=peer MemlockLimit=1G ReleaseTimeoutSec=1 OnReleaseTimeout=kill OnViolation=log

	watch_events
	hold_dma one s0:c1,c2 "$EDU" "$NIC"
	assert_eq "$vfio_context:s0:c1,c2" "$(context_of "$(node_of "$EDU")")" "context of the node"
	chcon -l s0:c9 "$(node_of "$EDU")"
	wait_event '"violation"' >/dev/null
	chcon -l s0:c1,c2 "$(node_of "$EDU")"
	wait_event '"violationEnded"' >/dev/null
	let_go one
	wait_event '"leaseReleased"*"uid":1001' >/dev/null
	assert_driver "$NIC" e1000e
	assert_contains "$(as bob iommuctl run --backend=legacy "$EDU" -- \
		edu-dma --container '{container}' --group '{group}' --device '{device}' --address "$EDU")" 'DMA ok'
	wait_idle
	as bob iommuctl run "$NVME" -- true
	wait_idle
	unwatch_events

	watch_events
	hold_dma two s0 "$EDU"
	event=$(wait_event '"leaseGranted"*'"$EDU")
	lease=${event#*'"lease":'}
	iommuctl revoke "${lease%%,*}"
	wait_event '"clientSignalled"*SIGKILL' >/dev/null
	reap two
	wait_idle
	unwatch_events
}

# assert_no_denial MODE
assert_no_denial()
{
	local denials

	denials=$(journal_since | grep -E 'avc: +denied.*context=[^ ]*:(iommud|vfio_device_t)') || true
	assert_eq '' "$denials" "what SELinux denies, $1"
}

systemctl stop iommud.service iommud.socket iommud-helper.service iommud-helper.socket
# Its node is from before the policy module, and named without it.
modprobe iommud
semodule -i /usr/share/selinux/packages/iommud.pp
restorecon -iRF /usr/sbin/iommud /usr/libexec/iommud-helper /etc/iommud /run/iommud /run/iommud-helper /dev/iommu /dev/iommud
start_iommud
mark_journal
exercise
assert_no_denial permissive
defer setenforce 0
setenforce 1
exercise
assert_no_denial enforcing
