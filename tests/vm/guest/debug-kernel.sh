# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What cases for the debug kernel are written with; they source it. A report of KASAN, of the list and object checks, or of
# sleeping while atomic is a warning, and so ends the machine (panic_on_warn). Lockdep and kmemleak are asked.

debugfs=/sys/kernel/debug
mountpoint -q $debugfs || mount -t debugfs debugfs $debugfs

no_claim_is_left()
{
	[[ $(wc -l <$debugfs/iommud/claims) -eq 1 ]] || fail "a claim is left: $(<$debugfs/iommud/claims)"
}

# Lockdep turns itself off with its first report, which is no warning of the kind that panics.
locks_are_proved()
{
	grep -Eq '^ *debug_locks: *1$' /proc/lockdep_stats || fail "lockdep is off: it has reported something, or is overrun"
}

# From here on, what is lost: all that is there now is taken for known.
leaks_begin()
{
	echo clear >$debugfs/kmemleak
}

# nothing_leaked: of all that the module has allocated, itself or through functions that it called. It has to be loaded still, for
# the names in the traces. Kmemleak takes nothing for lost that is younger than five seconds: it scans until all is older.
nothing_leaked()
{
	local end=$((SECONDS + 7)) leaks

	while [[ $SECONDS -lt $end ]]; do
		echo scan >$debugfs/kmemleak
	done
	echo scan >$debugfs/kmemleak
	leaks=$(<$debugfs/kmemleak)
	[[ $leaks != *'[iommud]'* ]] || fail "the module leaks: $leaks"
	[[ -z $leaks ]] || note "leaks of others: $(grep -c '^unreferenced' <<<"$leaks")"
}
