# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# For cases on machines/apparmor: sourced after iommud.sh.

# The kernel would leave out all but the first few denials in a row.
defer sysctl -qw "kernel.printk_ratelimit=$(sysctl -n kernel.printk_ratelimit)"
sysctl -qw kernel.printk_ratelimit=0
mark_journal
apparmor_cursor=$cursor

# load_profile [--complain] NAME [FLAGS] <RULES: of a client
load_profile()
{
	local -a options=()

	if [[ $1 == --complain ]]; then
		options+=("$1")
		shift
	fi
	{
		printf 'abi <abi/3.0>,\ninclude <tunables/global>\nprofile %s %s {\n' "$1" "${2:-}"
		cat
		printf '}\n'
	} >"$state/$1.profile"
	apparmor_parser --replace "${options[@]}" "$state/$1.profile"
	[[ " ${deferred[*]} " != *"unload_profile $1 "* ]] || return 0
	defer unload_profile "$1"
}

unload_profile()
{
	apparmor_parser --remove "$state/$1.profile"
}

# confinement_of UNIT: the profile of its main process, with the profile's mode
confinement_of()
{
	cat "/proc/$(main_pid "$1")/attr/apparmor/current"
}

# denials PROFILE...: what AppArmor has denied to them since the case began
denials()
{
	local names

	# What is denied comes to the journal in order, and some time later: when this is there, all is.
	: >"$state/barrier"
	mark_journal
	expect_fail aa-exec -p iommud -- sh -c "exec 3<$state/barrier" 2>/dev/null
	wait_journal "$state/barrier\"" _TRANSPORT=kernel >/dev/null
	names=$(IFS='|' && echo "$*")
	journalctl --quiet --after-cursor="$apparmor_cursor" --output=cat _TRANSPORT=kernel |
		grep -E "apparmor=\"DENIED\".* (profile|peer)=\"($names)[\"/]" | grep -v "$state/barrier" || true
}
