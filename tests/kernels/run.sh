#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD [KERNEL...]: the smoke test (smoke.py) on each of these kernels, as many at once as there
# are CPUs.  KERNEL is a version as fetch.sh takes it, or "lockdown": the newest, locked down.
# Prints a line for each, what went wrong, and "N passed, N failed".  Kernels are kept in
# $LEAKTRACE_KERNEL_CACHE, or BUILD/kernels.
set -u
cd "$(dirname "$0")/../.." || exit 1
[ $# -ge 1 ] || { sed -n '3,6s/^# //p' "$0" >&2; exit 2; }
build=$(readlink -f "$1")
shift
[ $# -gt 0 ] || set -- 5.10 6.1 6.12 newest lockdown
cache=${LEAKTRACE_KERNEL_CACHE:-$build/kernels}
logs=$build/test-logs
mkdir -p "$logs"
export build cache logs
limit_s=240

one() { # KERNEL
	local name=$1 release begin=$SECONDS status=0
	local log=$logs/kernel-$1.log parts="Smoke Crippled"
	[ "$name" != lockdown ] || { name=newest parts=Lockdown; export KARGS=lockdown=confidentiality; }
	release=$(cat "$cache/$name/release")
	tests/kernels/run-in-kernel.sh -t "$limit_s" -f "$logs/kernel-files" "$cache/$name/vmlinuz" \
		"LEAKTRACE_BUILD='$build' /usr/bin/python3 tests/kernels/smoke.py $parts" \
		>"$log" 2>&1 || status=$?
	echo "$([ "$status" = 0 ] && echo 'ok     ' || echo 'FAILED ') kernel $1 ($release, $((SECONDS - begin)) s)"
	[ "$status" = 0 ] || { echo "exit status $status" >>"$log"; tail -n 60 "$log"; }
	return "$status"
}
export -f one
export limit_s

kernels=("${@/lockdown/newest}")
tests/kernels/fetch.sh "$cache" "${kernels[@]}" || exit 1
# What goes into the machine: Python as far as it is needed, what is tested, what the tests call.
/usr/bin/python3 -c 'import sys, sysconfig; print(sys.executable, sysconfig.get_path("stdlib"), sep="\n")' |
	while read -r path; do
		if [ -d "$path" ]; then
			find "$path" \( -name test -o -name tests -o -name lib2to3 -o -name idlelib -o -name ensurepip \
				-o -name 'config-*' -o -name pydoc_data -o -name dist-packages \) -prune -o -type f -print
		else
			echo "$path"
		fi
	done >"$logs/kernel-files"
command -v unshare setpriv mount dash >>"$logs/kernel-files"
printf '%s\n' "$build/leaktrace" "$build/workloads" "$build/e2e" "$build/go/leaks" "$PWD/include" "$PWD/tests/e2e" "$PWD/tests/kernels" \
	"$PWD/tests/workloads" >>"$logs/kernel-files"
results=$logs/kernels-results.log
printf '%s\n' "$@" | xargs -P "$(nproc)" -I '{}' bash -c 'one {} || exit 1' 2>/dev/null | tee "$results"
passed=$(grep -c '^ok      kernel ' "$results")
echo "$passed passed, $(($# - passed)) failed"
[ "$passed" = $# ]
