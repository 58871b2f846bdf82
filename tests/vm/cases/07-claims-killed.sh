# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 240
#
# Claims and death. Those of a broker that is killed go on, with systemd, for its successor; of one that is stopped, none is left. A client that is killed while the broker is stopped has its memory let
# go by the module itself. A slot that is locked stays so for what is plugged into it. Without the module, KernelModule=require does not start.

. /payload/guest/iommud.sh
start_iommud
allow 50-bob bob "$EDU"

claims()
{
	tail -n +2 /sys/kernel/debug/iommud/claims
}

listen()
{
	hold events root kmod-events
	wait_held events listening >/dev/null
}

# The broker is killed, and its claim is held by systemd until it has started another one; stopped, and it is gone.
hold bob bob iommuctl run --backend=iommufd "$EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held bob holding >/dev/null
assert_contains "$(claims)" "$EDU"
former=$(claims)
mark_journal
kill -KILL "$(main_pid iommud)"
wait_journal ready -u iommud >/dev/null
assert_eq "$former" "$(claims)" "claims after the broker was killed"
systemctl stop iommud.service
assert_eq '' "$(claims)" "claims after the broker was stopped"
mark_journal
systemctl start iommud.service
wait_journal 'put back' -u iommud IOMMUD_EVENT=leaseRecovered IOMMUD_DEVICE="$EDU" >/dev/null
let_go bob
wait_idle
assert_eq '' "$(claims)" "claims"
assert_driver "$EDU" none

# The broker is stopped, and holds the claim of a client that is killed: its iommufd is let go all the same.
listen
hold bob bob iommuctl run --backend=iommufd "$EDU" -- edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held bob holding >/dev/null
broker=$(main_pid iommud)
assert_contains "$(claims)" iommufd
kill -STOP "$broker"
defer kill -CONT "$broker"
slay bob
wait_held events "context-gone $EDU" >/dev/null
assert_contains "$(claims)" " ended "
[[ $(claims) != *" iommufd "* ]] || fail "the iommufd is held: $(claims)"
kill -CONT "$broker"
wait_idle
assert_eq '' "$(claims)" "claims"
assert_driver "$EDU" none
slay events

# What is plugged into a locked slot gets no driver, whatever it is and however it comes; and gets it when the lock is gone.
host-monitor "device_add edu,id=hot,bus=rp-hot"
wait_device "$HOT"
bind_driver "$HOT" vfio-pci
hold lock root kmod-claim --singleton "$HOT"
wait_held lock claimed >/dev/null
host-monitor --event DEVICE_DELETED "device_del hot"
wait_no_device "$HOT"
host-monitor "device_add e1000e,id=hot,bus=rp-hot,romfile="
wait_device "$HOT"
assert_driver "$HOT" none
assert_eq iommud-denied "$(override_of "$HOT")" "override"
watch_events
let_go lock
wait_event '"driverBound"*'"$HOT is bound to e1000e" >/dev/null
assert_eq none "$(override_of "$HOT")" "override"
unwatch_events
host-monitor --event DEVICE_DELETED "device_del hot"
wait_no_device "$HOT"

# It is not loaded: said, and with KernelModule=require no reason to start. Loaded, it is.
systemctl stop iommud.socket iommud.service
rmmod iommud
mv "/usr/lib/modules/$(uname -r)/updates/iommud.ko" "$state/"
depmod
# shellcheck disable=SC2317 # by defer
put_module_back()
{
	mv "$state/iommud.ko" "/usr/lib/modules/$(uname -r)/updates/"
	depmod
	systemctl restart iommud.socket iommud.service
}
defer put_module_back
systemctl start iommud.socket iommud.service
status=$(iommuctl status)
assert_contains "$status" "Kernel module: not in use (KernelModule=prefer)"
assert_contains "$status" "without iommud.ko: a host driver that is bound to a member by hand is noticed"
assert_contains "$(iommuctl explain --as bob "$EDU")" "without iommud.ko"
assert_contains "$(journalctl --quiet -o cat -u iommud -n 20)" "it is not loaded"
as bob iommuctl run --backend=iommufd "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
wait_idle
mark_journal
cp /etc/iommud/iommud.conf "$state/iommud.conf"
defer cp "$state/iommud.conf" /etc/iommud/iommud.conf
printf '[Kernel]\nKernelModule=require\n' >/etc/iommud/iommud.conf
systemctl stop iommud.socket iommud.service
expect_fail systemctl start iommud.service
wait_journal "KernelModule=require in iommud.conf" -u iommud >/dev/null
systemctl stop iommud.service
systemctl reset-failed iommud.service
