#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Starts a leaky and a healthy server and attaches leaktrace to both, through sudo unless run by root;
# takes 75 seconds.
# run.sh [BUILD]: DEMO_INTERVAL and DEMO_COUNT change how often and how many times leaktrace reports.

set -eu

cd "$(dirname "$0")/.."
build=${1:-${LEAKTRACE_BUILD:-build}}
interval=${DEMO_INTERVAL:-10}
count=${DEMO_COUNT:-7}
sudo=''
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo true # asks for the password now: in the background nobody could answer
scratch=$(mktemp -d)
leaky='' healthy='' watcher=''

# Only what was started here, and only by its pid.
finish()
{
	trap - EXIT INT TERM
	[ -z "$watcher" ] || $sudo kill "$watcher" 2>/dev/null || :
	for pid in $leaky $healthy; do
		kill "$pid" 2>/dev/null || :
	done
	wait
	rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$build/demo/leaky_server" >"$scratch/leaky" &
leaky=$!
"$build/demo/healthy_server" >"$scratch/healthy" &
healthy=$!
for name in leaky healthy; do
	tries=0
	until [ -s "$scratch/$name" ]; do
		tries=$((tries + 1))
		[ "$tries" -le 100 ] || { echo "demo: the $name server did not start" >&2; exit 1; }
		sleep 0.1
	done
done

cat <<TEXT
Two servers answer the same 200 requests a second; one of them forgets a session whenever it turns out
to be expired.  leaktrace attaches to both, without a restart, and reports every $interval seconds:
its verdict hardens as evidence comes in, and names the line in session_store_put that acquired what
handle_request never gave back.

== the leaky server: $(cat "$scratch/leaky")
   sudo leaktrace -p $leaky $interval $count

TEXT
$sudo "$build/leaktrace" -q --top 3 -p "$healthy" "$interval" "$count" \
	>"$scratch/healthy-report" 2>"$scratch/healthy-errors" &
watcher=$!
$sudo "$build/leaktrace" --top 3 -p "$leaky" "$interval" "$count"
status=0
wait "$watcher" || status=$?
watcher=

cat <<TEXT

== the healthy server, watched for as long, ends with this report: $(cat "$scratch/healthy")
   sudo leaktrace -q -p $healthy $interval $count

TEXT
cat "$scratch/healthy-report"
cat "$scratch/healthy-errors" >&2
for pid in $leaky $healthy; do
	kill -0 "$pid" || { echo "demo: a server did not survive" >&2; exit 1; }
done
echo
echo "Both servers ran on, untouched; they are ended now."
exit "$status"
