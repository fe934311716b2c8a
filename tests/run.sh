#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD SANITIZED: every test; unit tests and replays from the sanitized build, the rest from
# the plain one.  Ends with "N passed, N failed" over all of them.
set -u
build=$1
sanitized=$2
passed=0 failed=0
logs=$build/test-logs
mkdir -p "$logs"

# one NAME COMMAND...: one program is one test here; what it says is shown when it fails
one() {
	local name=$1 log
	shift
	log=$logs/${name//\//_}.log
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "ok      $name"
	else
		failed=$((failed + 1))
		echo "FAILED  $name"
		tail -n 60 "$log"
	fi
}

fuzz() { # FUZZER: what it says and its status are kept
	local at=$logs/${1##*/}
	"$1" -runs="${FUZZ_RUNS:-20000}" -seed=1 -max_len=4096 -rss_limit_mb=2048 >"$at.said" 2>&1
	echo $? >"$at.status"
}
said() { # FUZZER
	cat "$logs/$1.said"
	return "$(cat "$logs/$1.status")"
}
fuzzers=() pids=()

if [ "$(id -u)" = 0 ]; then sudo=(); else sudo=(sudo -E); fi
# Two kernels, in virtual machines, while what only computes runs; make check-kernels has all of them.
"${sudo[@]}" tests/kernels/run.sh "$build" 5.10 newest >"$logs/kernels.log" 2>&1 &
kernels=$!
for test in "$sanitized"/tests/unit/*/test_*; do
	[ -x "$test" ] && [ -f "$test" ] && one "unit/${test#"$sanitized"/tests/unit/}" "${sudo[@]}" "$test"
done
# They only compute: side by side, and told one by one.
for fuzzer in "$build"/tests/fuzz/fuzz_*; do
	if [ ! -x "$fuzzer" ] || [ ! -f "$fuzzer" ]; then continue; fi
	while [ "$(jobs -rp | wc -l)" -gt "$(nproc)" ]; do wait -n; done # the kernels are one more
	fuzz "$fuzzer" &
	fuzzers+=("${fuzzer##*/}")
	pids+=($!)
done
wait "${pids[@]}"
for fuzzer in "${fuzzers[@]}"; do
	one "fuzz/$fuzzer" said "$fuzzer"
done
one replay tests/replay/run.sh "$sanitized"
one replay/redis /usr/bin/python3 tests/replay/test_redis.py "$sanitized"
one man mandoc -Tlint -W error "$build/leaktrace.8"

wait "$kernels"
cat "$logs/kernels.log"
read -r kernels_passed kernels_failed < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$logs/kernels.log" | tail -n 1)
if [ $((${kernels_passed:-0} + ${kernels_failed:-0})) != 2 ]; then
	echo "FAILED  kernels: not all of them ran"
	failed=$((failed + 1))
fi
passed=$((passed + ${kernels_passed:-0}))
failed=$((failed + ${kernels_failed:-0}))

# The end-to-end tests count one by one.
"${sudo[@]}" env LEAKTRACE_BUILD="$build" /usr/bin/python3 tests/e2e/run.py 2>&1 | tee "$logs/e2e.log"
read -r e2e_passed e2e_failed < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$logs/e2e.log" | tail -n 1)
if [ -z "${e2e_passed:-}" ] || [ "$e2e_passed" = 0 ]; then
	echo "FAILED  e2e: no end-to-end test ran"
	failed=$((failed + 1))
fi
passed=$((passed + ${e2e_passed:-0}))
failed=$((failed + ${e2e_failed:-0}))
echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
