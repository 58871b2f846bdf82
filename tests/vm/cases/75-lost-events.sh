# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: noacs
# root: debian
# timeout: 400
#
# While nobody listens, a function is plugged into a leased group, a driver is bound to a member of another, and a third device
# is asked for: the events are lost, and all of it is found when everything is read anew. The kernel module would have told of
# some of it by its own descriptor, and refused the driver.

. /payload/guest/iommud.sh
start_iommud
mkdir -p /etc/iommud /run/systemd/system/iommud.service.d
defer systemctl restart iommud
defer systemctl daemon-reload
defer rm -f /etc/iommud/iommud.conf /run/systemd/system/iommud.service.d/slow.conf
printf '[Events]\nBufferSize=64K\n[Kernel]\nKernelModule=off\n' >/etc/iommud/iommud.conf
# It is stopped for longer than systemd would let it be.
printf '[Service]\nWatchdogSec=0\n' >/run/systemd/system/iommud.service.d/slow.conf
systemctl daemon-reload
systemctl restart iommud
set_policy 50-bob <<END
[Match]
Address=$PAIR $MF_EDU $EDU
[Client]
User=bob
[Grant]
Action=allow
GroupScope=whole
END
unbind_driver "$MF_NIC"
unbind_driver "$MF_NVME"
udev_settle
watch_events
hold_lease pair bob --yes "$PAIR"
hold_lease slot bob --yes "$MF_EDU"
hold edu bob iommuctl run "$EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held edu holding

kill -STOP "$(main_pid iommud)"
defer kill -CONT "$(main_pid iommud)"
# More than the buffer holds; what comes then is dropped.
for _ in 1 2 3 4 5 6 7 8; do
	udevadm trigger --settle --subsystem-match=pci --action=change
done
host-monitor "device_add edu,id=late,bus=rp-late"
wait_device "$LATE"
echo "$MF_NIC" >/sys/bus/pci/drivers/e1000/bind
without_holds echo "$EDU" >/sys/bus/pci/drivers/vfio-pci/unbind &
asked=$!
udev_settle
kill -CONT "$(main_pid iommud)"

wait_event '"resynced"' >/dev/null
wait_event '"lateJoiner"*'"$LATE" >/dev/null
wait_event '"memberParked"*'"$LATE" >/dev/null
wait_event '"violation"*'"$MF_NIC is bound to e1000" >/dev/null
wait_event '"memberParked"*'"$MF_NIC" >/dev/null
wait_event '"deviceRequested"*'"$EDU" >/dev/null
wait_event '"releaseRequested"*'"$EDU" >/dev/null
assert_driver "$LATE" pci-stub
assert_driver "$MF_NIC" pci-stub
for client in edu slot pair; do
	let_go "$client"
done
wait "$asked"
wait_idle
unwatch_events
assert_driver "$MF_NIC" e1000
assert_driver "$LATE" none
host-monitor --event DEVICE_DELETED "device_del late"
wait_no_device "$LATE"
