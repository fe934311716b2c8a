#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# make.sh BUILD: records the fixtures anew (root; two minutes), then UPDATE=1 run.sh makes the
# goldens.  The workload runs from a neutral path, for paths are part of a recording.
set -eu
build=$(readlink -f "$1")
cd "$(dirname "$0")"
scratch=/tmp/leaktrace-fixture
mkdir -p $scratch
trap 'rm -rf $scratch' EXIT
cp "$build/workloads/leak_all" $scratch/

# fixture NAME SECONDS LEAKS-PER-SECOND ACTION [leaktrace options...]: ACTION runs after half the time
fixture() {
	local name=$1 seconds=$2 rate=$3 action=$4 target tracer
	shift 4
	mkfifo $scratch/in
	(cd $scratch && exec ./leak_all "$rate" "$((seconds + 30))") <$scratch/in >/dev/null &
	target=$!
	exec 3>$scratch/in
	"$build/leaktrace" -q -p $target 10 --record "$name.ltrec" "$@" >/dev/null 2>&1 &
	tracer=$!
	sleep 2
	echo go >&3
	sleep $((seconds / 2))
	$action $target $tracer
	sleep $((seconds / 2))
	kill -INT $tracer 2>/dev/null || :
	wait $tracer || :
	exec 3>&-
	kill -KILL $target 2>/dev/null || :
	wait $target 2>/dev/null || :
	rm $scratch/in
}
stall() {
	kill -STOP "$2"
	sleep 3
	kill -CONT "$2"
}
kill_target() { kill -KILL "$1"; }

fixture leak 64 2 true
fixture loss 60 4 stall --ring-size 4096
fixture killed 8 5 kill_target
ls -l ./*.ltrec
