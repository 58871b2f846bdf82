#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a program that is built against libiommud finds: symbols, header, pkg-config file, manual.
set -u

build=$(realpath "${IOMMUD_BUILD:-build}")
source=$(realpath "$(dirname "$0")/../..")
header=$source/include/libiommud.h
export LD_LIBRARY_PATH=$build${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
sanitize=()
case $build in
*asan*) sanitize=('-fsanitize=address,undefined') ;;
esac

# test NAME: runs the function of this name; what it prints when it fails is shown.
run_test() {
	n=$((n + 1))
	if "$1" >"$dir/output" 2>&1; then
		echo "ok $n - $1"
	else
		sed 's/^/# /' "$dir/output"
		echo "not ok $n - $1"
	fi
}

declared() {
	grep -o 'iommud_[a-z_]*(' "$header" | tr -d '(' | grep -v '^iommud_reply_fn$' | sort -u
}

exports_just_what_the_header_declares() {
	nm -D --defined-only "$build/libiommud.so.0" >"$dir/symbols" &&
		diff <(declared) <(sed -n 's/.* T \(iommud_[a-z_]*\)@@LIBIOMMUD_0$/\1/p' "$dir/symbols" | sort) &&
		diff <(declared) <(sed -n 's/^\t\(iommud_[a-z_]*\);$/\1/p' "$source/src/libiommud/libiommud.map" | sort) &&
		! grep -vE ' (T iommud_[a-z_]*@@LIBIOMMUD_0|A LIBIOMMUD_0)$' "$dir/symbols"
}

needs_json_c_only() {
	local needed
	needed=$(readelf -d "$build/libiommud.so.0" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|ld-linux.*|libasan|libubsan)\.so' | sort)
	echo "$needed"
	[[ $needed == libjson-c.so.* ]] && [ "$(wc -l <<<"$needed")" -eq 1 ]
}

the_manual_knows_every_function() {
	diff <(declared) <(sed -n 's/^\.F[no] \(iommud_[a-z_]*\).*/\1/p' "$source/src/libiommud/libiommud.3" | sort -u)
}

the_header_stands_alone() {
	echo '#include <libiommud.h>' >"$dir/alone.c"
	cp "$dir/alone.c" "$dir/alone.cc"
	gcc -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$source/include" "$dir/alone.c" || return 1
	if command -v g++ >/dev/null; then
		g++ -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$source/include" "$dir/alone.cc"
	fi
}

build_example() {
	sed -n '/^\.Bd -literal$/,/^\.Ed$/p' "$source/src/libiommud/libiommud.3" | sed '1d;$d;s/\\e/\\/g' >"$dir/example.c"
	[ -s "$dir/example.c" ] && gcc -std=c99 -pedantic -Wall -Wextra -Werror "${sanitize[@]}" -I"$source/include" \
		-o "$dir/example" "$dir/example.c" -L"$build" -liommud
}

# run_example CODE: against a server with the script of standard input. Its output is in $dir/said.
run_example() {
	local server code=0
	cat >"$dir/script"
	mkfifo "$dir/log"
	"$build/tests/e2e/fake-iommud" "$dir/socket" "$dir/script" >"$dir/log" &
	server=$!
	exec 5<"$dir/log"
	read -r -t 20 <&5
	IOMMUD_SOCKET=$dir/socket timeout 30 "$dir/example" 0000:00:04.0 >"$dir/said" 2>&1 || code=$?
	kill "$server"
	wait "$server" 2>/dev/null
	exec 5<&-
	rm "$dir/log" "$dir/socket"
	cat "$dir/said"
	[ "$code" -eq "$1" ]
}

the_manuals_example_takes_a_device() {
	build_example && run_example 0 <<-'END' && grep -q '^lease 3: 0000:00:04.0 is descriptor [0-9]*, its IOMMU [0-9]*$' "$dir/said"
		call io.iommud.Acquire "backend":"iommufd"
		fds 2
		reply {"lease":3,"backend":"iommufd","iommuFileDescriptor":0,"devices":[{"address":"0000:00:04.0","group":5,"deviceFileDescriptor":1}]}
		call io.iommud.Release "lease":3
		reply {}
	END
}

the_manuals_example_says_why_not() {
	build_example && ASAN_OPTIONS=detect_leaks=0 run_example 1 <<-'END' && [ "$(cat "$dir/said")" = 'no rule fits' ]
		call io.iommud.Acquire
		error io.iommud.DeniedByPolicy {"message":"no rule fits"}
	END
}

the_pkg_config_file_is_whole() {
	local found
	found=$(PKG_CONFIG_PATH=$build pkg-config --cflags --libs libiommud) || return 1
	echo "$found"
	[[ $found == *-liommud* && $found != *@* && $found != *-ljson* ]] &&
		[[ $(PKG_CONFIG_PATH=$build pkg-config --static --libs libiommud) == *-ljson-c* ]]
}

the_manuals_are_well_formed() {
	command -v mandoc >/dev/null || return 0
	mandoc -T lint -W warning "$source/src/libiommud/libiommud.3" "$source/src/iommuctl/iommuctl.1"
}

tests='
exports_just_what_the_header_declares
needs_json_c_only
the_manual_knows_every_function
the_header_stands_alone
the_manuals_example_takes_a_device
the_manuals_example_says_why_not
the_pkg_config_file_is_whole
the_manuals_are_well_formed
'
# shellcheck disable=SC2086
set -- $tests
echo "1..$#"
for test; do
	run_test "$test"
done
