# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 90
#
# The services start as README.md says, with the privileges it says, and leave nodes as it says.

. /payload/guest/iommud.sh
start_iommud
mark_journal

for unit in iommud.service iommud.socket iommud-helper.socket; do
	assert_eq enabled "$(systemctl is-enabled "$unit")" "$unit"
	assert_eq active "$(systemctl is-active "$unit")" "$unit"
done

# The helper is started by its socket, that is by the broker; waits until that is done.
helper_is_up()
{
	assert_contains "active activating" "$(systemctl is-active iommud-helper.service || true)"
	systemctl start iommud-helper.service
}
helper_is_up

# status_of PID FIELD: of /proc/PID/status, without blanks around
status_of()
{
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '
}

check_privileges()
{
	local broker helper set uid

	broker=$(main_pid iommud) helper=$(main_pid iommud-helper)
	uid=$(id -u iommud)
	assert_eq "$uid $uid $uid $uid" "$(status_of "$broker" Uid)" "the broker's uids"
	assert_eq "$(id -g iommud) " "$(status_of "$broker" Groups)" "the broker's groups"
	for set in CapInh CapPrm CapEff CapAmb; do
		assert_eq 0000000000000000 "$(status_of "$broker" $set)" "the broker's $set"
	done
	# Only what it sizes its buffer with could come back, and nothing it executes gets that.
	assert_eq 0000000000001000 "$(status_of "$broker" CapBnd)" "the broker's CapBnd"
	assert_eq 1 "$(status_of "$broker" NoNewPrivs)" "the broker's NoNewPrivs"
	assert_eq "0 0 0 0" "$(status_of "$helper" Uid)" "the helper's uids"
	assert_eq 0000000001280024 "$(status_of "$helper" CapEff)" \
		"the helper's CapEff: CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SYS_RESOURCE"
	assert_eq 1 "$(status_of "$helper" NoNewPrivs)" "the helper's NoNewPrivs"
}
check_privileges

mode_of()
{
	stat -c '%a %U:%G' "$1"
}
assert_eq "755 root:root" "$(mode_of /run/iommud)" /run/iommud
assert_eq "666 root:root" "$(mode_of /run/iommud/io.iommud)" "the clients' socket"
assert_eq "600 iommud:root" "$(mode_of /run/iommud/helper)" "the helper's socket"
assert_eq "700 root:root" "$(mode_of /run/iommud-helper)" "the helper's journal"

# The nodes are the broker's by udev's rule, and those of others stay what they were.
bind_driver "$EDU" vfio-pci
udev_settle
nodes=("/sys/bus/pci/devices/$EDU/vfio-dev"/vfio*)
assert_eq "660 root:iommud" "$(mode_of /dev/iommu)" /dev/iommu
assert_eq "660 root:iommud" "$(mode_of "/dev/vfio/$(group_of "$EDU")")" "the group's node"
assert_eq "660 root:iommud" "$(mode_of "/dev/vfio/devices/${nodes[0]##*/}")" "the device's node"
assert_eq "666 root:root" "$(mode_of /dev/vfio/vfio)" /dev/vfio/vfio

# Stopped and started again. The socket stays, so a client starts the service as well.
systemctl stop iommud.service iommud-helper.service
assert_eq inactive "$(systemctl is-active iommud.service || true)" "iommud after its stop"
assert_contains "$(as alice iommuctl status)" "No leases."
systemctl start iommud.service
helper_is_up
check_privileges

for unit in iommud iommud-helper; do
	assert_eq 30s "$(systemctl show -p WatchdogUSec --value $unit)" "watchdog of $unit"
	assert_eq success "$(systemctl show -p Result --value $unit)" "result of $unit"
	assert_eq 0 "$(systemctl show -p NRestarts --value $unit)" "restarts of $unit"
done

warnings=$(journal_since --priority=warning -u iommud -u iommud-helper -u iommud.socket -u iommud-helper.socket)
assert_eq '' "$warnings" "warnings of the units"

systemd-analyze --man=no verify {iommud,iommud-helper}.{service,socket} >"$state/verify" 2>&1
assert_eq '' "$(<"$state/verify")" "systemd-analyze verify"
# The threshold is in tenths.
systemd-analyze security --no-pager --threshold=20 iommud.service | tail -n 1
systemd-analyze security --no-pager --threshold=26 iommud-helper.service | tail -n 1
