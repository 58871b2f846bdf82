# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 120
#
# A disk that the host uses stays with the host, however it is used, unless the rule says Force=yes.

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

# refused WHAT: to take the disk, with this reason, and nothing has happened
refused()
{
	local status=0 error

	error=$(as alice iommuctl acquire "$NVME" 2>&1 </dev/null) || status=$?
	echo "$error"
	assert_eq 4 "$status" "exit status while $1"
	assert_contains "$error" "$NVME is in use by the host: $1"
	assert_contains "$error" "Force=yes in $policy_dir/50-disk.policy:1"
	assert_driver "$NVME" nvme
	assert_eq none "$(override_of "$NVME")" "override of $NVME"
	assert_eq "$generation" "$(stat -c %Y.%i "/sys/bus/pci/devices/$NVME/driver")" "the link to the driver"
	assert_eq free "$(state_of "$NVME")" "state"
}

disk=$(disk_of_nvme)
generation=$(stat -c %Y.%i "/sys/bus/pci/devices/$NVME/driver")

# Mounted: and what is on it can still be written.
dd if=/payload/ext4.img of="/dev/$disk" bs=64K conv=fsync status=none
mkdir -p "$state/mnt"
mount "/dev/$disk" "$state/mnt"
defer umount "$state/mnt"
refused "$disk is mounted, swapped to or otherwise held"
error=$(expect_fail as alice varlinkctl -j call /run/iommud/io.iommud io.iommud.Acquire "{\"devices\":[\"$NVME\"]}" 2>&1)
assert_contains "$error" io.iommud.DeviceBusy
assert_contains "$error" '"state":null'
assert_contains "$error" '"holders":["'"$disk is mounted, swapped to or otherwise held"'"]'
echo intact >"$state/mnt/file"
sync "$state/mnt/file"
umount "$state/mnt"

# Swapped to.
mkswap --quiet "/dev/$disk"
swapon "/dev/$disk"
refused "$disk is mounted, swapped to or otherwise held"
swapoff "/dev/$disk"

# A partition of it is mounted: it is the one that is named.
# (An MBR with one entry: type 83, from sector 2048, 16384 long.)
dd if=/dev/zero of="/dev/$disk" bs=64K count=1 conv=fsync status=none
printf '\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x40\0\0' | dd of="/dev/$disk" bs=1 seek=446 conv=fsync,notrunc status=none
printf '\x55\xaa' | dd of="/dev/$disk" bs=1 seek=510 conv=fsync,notrunc status=none
blockdev --rereadpt "/dev/$disk"
udev_settle
dd if=/payload/ext4.img of="/dev/${disk}p1" bs=64K conv=fsync status=none
mount "/dev/${disk}p1" "$state/mnt"
refused "${disk}p1 is mounted, swapped to or otherwise held"
umount "$state/mnt"

# Nobody uses it: it goes, and comes back under its name, for the helper had let go of it by then.
watch_events
as alice iommuctl run "$NVME" -- true
wait_event '"leaseReleased"*'"$NVME" >/dev/null
assert_driver "$NVME" nvme
assert_eq "$disk" "$(disk_of_nvme)" "name of the disk"
wait_idle

# That a program merely has it open, for reading and together with others, is no use.
exec {reader}<"/dev/$disk"
: >"$events"
as alice iommuctl run "$NVME" -- true
wait_event '"leaseReleased"*'"$NVME" >/dev/null
exec {reader}<&-
assert_driver "$NVME" nvme
wait_idle

# Force: it goes from under the mount.
disk=$(disk_of_nvme)
dd if=/payload/ext4.img of="/dev/$disk" bs=64K conv=fsync status=none
mount -o ro "/dev/$disk" "$state/mnt"
allow 50-disk alice "$NVME" Force=yes
assert_contains "$(as alice iommuctl explain "$NVME")" "even if the host uses it (Force=yes)"
: >"$events"
as alice iommuctl run "$NVME" -- true
wait_event '"leaseReleased"*'"$NVME" >/dev/null
umount "$state/mnt"
unwatch_events
wait_idle
assert_driver "$NVME" nvme
