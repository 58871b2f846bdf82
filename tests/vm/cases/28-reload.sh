# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# machine: default
# root: debian
# timeout: 60
#
# A reload puts a new policy in force in both daemons; a broken one is refused, with its place, and the old one stays.

. /payload/guest/iommud.sh
start_iommud
defer drop_policy 50-reload
defer rm -f "$policy_dir/60-broken.policy"
expect_status 3 as bob iommuctl acquire "$EDU" </dev/null

rule()
{
	printf '[Match]\nAddress=%s\n[Client]\nUser=%s\n[Grant]\nAction=allow\n' "$EDU" "$1"
}
rule bob >"$policy_dir/50-reload.policy"
# It is not in force before it is loaded.
expect_status 3 as bob iommuctl acquire "$EDU" </dev/null
reload_policy
as bob iommuctl run "$EDU" -- edu-dma --device '{device}' --iommu '{iommu}'
wait_idle

mark_journal
{
	rule alice
	printf 'Actoin=deny\n'
} >"$policy_dir/60-broken.policy"
rule carol >"$policy_dir/50-reload.policy"
systemctl reload iommud
wait_journal 'stays in force' -u iommud
assert_contains "$(journal_since -u iommud --priority=err)" "$policy_dir/60-broken.policy:7:1: error: "
as bob iommuctl run "$EDU" -- true
wait_idle
expect_status 3 as carol iommuctl acquire "$EDU" </dev/null

# The helper, too, keeps what it has.
systemctl reload iommud-helper
wait_journal '60-broken.policy:7:1' -u iommud-helper
as bob iommuctl run "$EDU" -- true
wait_idle

# Mended: reloading the broker is enough, for it tells the helper; to reload both does no harm.
rm "$policy_dir/60-broken.policy"
reload_policy
as carol iommuctl run "$EDU" -- true
wait_idle
expect_status 3 as bob iommuctl acquire "$EDU" </dev/null
rule bob >"$policy_dir/50-reload.policy"
mark_journal
systemctl reload iommud-helper iommud
wait_journal 'policy loaded' -u iommud
as bob iommuctl run "$EDU" -- true
wait_idle
assert_eq '' "$(journal_since -u iommud -u iommud-helper --priority=warning)" "warnings after the last reload"
