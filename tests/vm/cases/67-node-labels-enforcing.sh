# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: selinux-enforcing
# root: debian
# timeout: 200
#
# Nodes are labelled in a system that enforces from its start, and without our policy module: there the daemons run as any service
# that Debian's policy does not know. A context that no file may have is a fault that says so, and nothing is handed out.

. /payload/guest/iommud.sh
. /payload/guest/selinux.sh
assert_eq Enforcing "$(getenforce)" "mode"
start_iommud
allow 50-bob bob "$EDU" Label=peer

hold one bob runcon -l s0:c1,c2 iommuctl run --backend=iommufd "$EDU" -- \
	edu-dma --hold --device '{device}' --iommu '{iommu}'
wait_held one 'DMA ok'
node=$(node_of "$EDU")
assert_eq "$vfio_context:s0:c1,c2" "$(context_of "$node")" "context of the node"
assert_eq "$vfio_context:s0:c1,c2" "$(context_of "/dev/vfio/$(group_of "$EDU")")" "context of the group's node"
let_go one
wait_idle
assert_driver "$EDU" none

# A process's context: valid, but no file may have it.
allow 50-bob bob "$EDU" Label=system_u:system_r:initrc_t:s0
status=0
error=$(as bob iommuctl acquire "$EDU" 2>&1 </dev/null) || status=$?
[[ $status -ne 0 ]] || fail "handed out all the same: $error"
assert_contains "$error" label
wait_idle
assert_driver "$EDU" none
assert_eq '' "$(find /run/iommud-helper -name 'contexts-*')" "notes of the helper that are left"
