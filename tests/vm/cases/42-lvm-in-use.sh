# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 150
#
# A disk that the host uses through something else stays with the host: by LVM, whether what is on it is mounted or not, and by
# md. The host finds it again when it comes back. Nobody can begin to use it once it is decided that nobody does.

. /payload/guest/iommud.sh
start_iommud
allow 50-disk alice "$NVME"

# disk_of_nvme: its name now; udev has made the node when it is told
disk_of_nvme()
{
	local folder

	udev_settle
	folder=$(echo "/sys/bus/pci/devices/$NVME/nvme/nvme"*/nvme*n1)
	echo "${folder##*/}"
}

# refused WHAT: to take the disk, with this reason, and it stays where it is
refused()
{
	local status=0 error

	error=$(as alice iommuctl acquire "$NVME" 2>&1 </dev/null) || status=$?
	echo "$error"
	assert_eq 4 "$status" "exit status while $1"
	assert_contains "$error" "$NVME is in use by the host: $1"
	assert_driver "$NVME" nvme
	assert_eq none "$(override_of "$NVME")" "override of $NVME"
	assert_eq free "$(state_of "$NVME")" "state"
}

# goes_and_comes: the disk is leased and given back
goes_and_comes()
{
	: >"$events"
	as alice iommuctl run "$NVME" -- true
	wait_event '"leaseReleased"*'"$NVME" >/dev/null
	assert_driver "$NVME" nvme
	wait_idle
}

watch_events
modprobe --all dm-mod md-mod raid1
disk=$(disk_of_nvme)
mkdir -p "$state/mnt"
# LVM takes no disk with partitions, which a case before this one may have made.
wipefs --quiet --all --force "/dev/$disk"
blockdev --rereadpt "/dev/$disk"
udev_settle

# A logical volume that is mounted.
vgcreate --quiet iommud-test "/dev/$disk"
defer wipefs --quiet --all --force "/dev/$disk"
defer vgchange --quiet --activate n iommud-test
lvcreate --quiet --yes --extents 100%FREE --name data iommud-test
udev_settle
mapped=$(readlink -f /dev/iommud-test/data)
dd if=/payload/ext4.img of="$mapped" bs=64K conv=fsync status=none
mount "$mapped" "$state/mnt"
defer umount "$state/mnt"
refused "$disk is part of ${mapped#/dev/}"
echo intact >"$state/mnt/file"
umount "$state/mnt"

# One that is not, but active: the host has it all the same.
refused "$disk is part of ${mapped#/dev/}"

# Of a group that is not active nothing is in use. When the disk comes back, udev has LVM find it.
vgchange --quiet --activate n iommud-test
goes_and_comes
udevadm wait --timeout=30 /dev/iommud-test/data
disk=$(disk_of_nvme)
mapped=$(readlink -f /dev/iommud-test/data)
refused "$disk is part of ${mapped#/dev/}"
mount "$mapped" "$state/mnt"
assert_eq intact "$(<"$state/mnt/file")" "the file on it"
umount "$state/mnt"
vgremove --quiet --yes iommud-test
pvremove --quiet "/dev/$disk"

# Half of a mirror.
mdadm --quiet --create /dev/md/iommud-test --run --level=1 --metadata=1.2 --raid-devices=2 "/dev/$disk" missing
defer mdadm --quiet --stop --scan
udev_settle
array=$(readlink -f /dev/md/iommud-test)
refused "$disk is part of ${array#/dev/}"
mdadm --quiet --stop "$array"
mdadm --quiet --zero-superblock "/dev/$disk"
goes_and_comes

# Between the look and the unbind, where the worker is stopped: nobody can begin to use the disk.
disk=$(disk_of_nvme)
dd if=/payload/ext4.img of="/dev/$disk" bs=64K conv=fsync status=none
log=$state/strace
: >"$log"
strace --follow-forks --attach="$(main_pid iommud-helper)" --output="$log" --trace=write --trace-path="$(readlink -f \
	"/sys/bus/pci/devices/$NVME")/driver_override" --inject=write:signal=STOP:when=1 2>"$state/attached" &
tracer=$!
wait_line "$state/attached" attached 20 >/dev/null
hold client alice iommuctl acquire --json=short "$NVME"
stopped=$(wait_line "$log" 'stopped by SIGSTOP' 40)
assert_driver "$NVME" nvme
assert_eq vfio-pci "$(override_of "$NVME")" "override of the device that is on its way"
expect_status 32 mount "/dev/$disk" "$state/mnt"
assert_contains "$(expect_fail pvcreate --yes "/dev/$disk" 2>&1)" "$disk"
expect_fail mdadm --create /dev/md/iommud-test --run --level=1 --raid-devices=2 "/dev/$disk" missing
kill -CONT "${stopped%% *}"
wait_held client '"lease":' >/dev/null
assert_driver "$NVME" vfio-pci
kill "$tracer"
wait "$tracer" || true
: >"$events"
let_go client
wait_event '"leaseReleased"*'"$NVME" >/dev/null
wait_idle
unwatch_events
