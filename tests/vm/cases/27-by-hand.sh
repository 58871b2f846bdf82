# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: tiny
# timeout: 60
#
# Both daemons started by hand, as README.md shows it, without systemd and udevd: a user's DMA through them.

. /payload/guest/iommud.sh
modprobe -a vfio-pci vfio_iommu_type1 iommufd
assert_eq yes "$TINY"
mkdir -p /etc/iommud/policy.d
defer rm -f /etc/iommud/policy.d/50-bob.policy
printf '[Match]\nAddress=%s\n[Client]\nUser=bob\n[Grant]\nAction=allow\n' "$EDU" >/etc/iommud/policy.d/50-bob.policy

# start NAME COMMAND...: in the background, its pid is in $started; returns when it says READY=1, as it would to systemd
start()
{
	local name=$1 notify=$state/$1.notify

	shift
	rm -f "$notify" "$notify.log"
	: >"$notify.log"
	perl -MSocket -e '
		socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, pack_sockaddr_un($ARGV[0])) or die;
		$| = 1; print "bound\n"; print "$b\n" while defined recv(S, $b, 4096, 0);' "$notify" >"$notify.log" &
	wait_line "$notify.log" bound 20 >/dev/null
	NOTIFY_SOCKET=$notify "$@" 2>"$state/$name.log" &
	started=$!
	wait_line "$notify.log" READY=1 20 >/dev/null
}

folder=$(mktemp -d /tmp/by-hand.XXXXXX)
chmod 755 "$folder"
defer rm -rf "$folder"
# Without udevd nobody gives the nodes to a group: the broker stays root, without a capability.
start helper /usr/libexec/iommud-helper --socket "$folder/helper" --client-socket "$folder/iommud" \
	--journal "$folder/journal" --broker-user root
start iommud /usr/sbin/iommud --listen "$folder/iommud" --helper "$folder/helper"
assert_eq 0000000000000000 "$(sed -n 's/^CapEff:\t//p' "/proc/$started/status")" "the broker's capabilities"

export IOMMUD_SOCKET=$folder/iommud
assert_contains "$(iommuctl list)" "$EDU"
assert_contains "$(iommuctl explain "$EDU" --as bob)" "allowed"
# shellcheck disable=SC2016
for backend in iommufd legacy; do
	as bob iommuctl --socket "$folder/iommud" run --backend=$backend "$EDU" -- \
		sh -c 'exec edu-dma --device "$IOMMUD_DEVICE_FD_0" --address '"$EDU"' \
			${IOMMUD_IOMMU_FD:+--iommu "$IOMMUD_IOMMU_FD"} \
			${IOMMUD_CONTAINER_FD:+--container "$IOMMUD_CONTAINER_FD" --group "$IOMMUD_GROUP_FD_0"}'
	wait_idle
	assert_driver "$EDU" none
	assert_eq none "$(override_of "$EDU")" "override"
done
expect_status 3 as alice iommuctl --socket "$folder/iommud" acquire "$EDU" </dev/null
