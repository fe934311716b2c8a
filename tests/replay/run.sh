#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh BUILD: each recording replays to its golden reports, byte for byte: text and JSON.
# After an intended change of the output: UPDATE=1 tests/replay/run.sh BUILD, and read the diff.
set -eu
build=$(readlink -f "$1")
cd "$(dirname "$0")"
failed=0 compared=0
for recording in *.ltrec; do
	name=${recording%.ltrec}
	COLUMNS=100 "$build/leaktrace" replay --color=never "$recording" >"$build/$name.txt"
	"$build/leaktrace" replay --json - "$recording" >"$build/$name.json"
	for kind in txt json; do
		if [ -n "${UPDATE:-}" ]; then
			cp "$build/$name.$kind" "$name.$kind"
		elif ! diff -u "$name.$kind" "$build/$name.$kind"; then
			failed=1
		fi
		compared=$((compared + 1))
	done
done
[ "$compared" -gt 0 ] || { echo "no recording found" >&2; exit 1; }
echo "$compared reports compared"
exit $failed
