#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fetch.sh CACHE VERSION...: fetches Debian's Go toolchains into CACHE/VERSION, where VERSION is as 1.22, or
# "newest" of all: CACHE/VERSION/bin/go is its go.  What is there already is left alone: then nothing is
# asked of the network.  The machine's own apt is not touched, and root is not needed.
set -eu
suites="bullseye bookworm bookworm-backports trixie trixie-backports sid"
[ $# -ge 2 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1"
cache=$(readlink -f "$1")
shift
apt=$cache/apt
. "${BASH_SOURCE%/*}/../apt.sh"

# Every version that is offered, the newest first.
versions() {
	own apt-cache search --names-only '^golang-1\.[0-9]+-go$' |
		sed -nE 's/^golang-(1\.[0-9]+)-go .*/\1/p' | sort -ruV
}

# unpack VERSION DIRECTORY: everything a build needs; its links are made relative to the directory.
unpack() {
	local deb link
	download "golang-$1-go" "golang-$1-src" || return 1
	rm -rf "$2"
	mkdir -p "$2/bin"
	for deb in "$apt"/debs/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$2" ./usr/lib ./usr/share 2>>"$apt/download.log"
	done
	find "$2" -lname '/*' | while read -r link; do
		ln -rsfn "$2$(readlink "$link")" "$link"
	done
	ln -s "../usr/lib/go-$1/bin/go" "$2/bin/go"
	"$2/bin/go" version >"$2/release"
}

fetch() { # VERSION
	local version
	for version in $(if [ "$1" = newest ]; then cat; else grep -Fx "$1" || :; fi <"$apt/versions"); do
		unpack "$version" "$cache/unpacked" || continue
		rm -rf "${cache:?}/$1"
		mv "$cache/unpacked" "$cache/$1"
		echo "fetched $(cat "$cache/$1/release")"
		return
	done
	echo "no Go $1 on this machine's Debian mirrors (see $apt/*.log)" >&2
	return 1
}

for version; do
	[ ! -e "$cache/$version/release" ] || continue
	[ -n "${configured:-}" ] || { configure $suites && versions >"$apt/versions" && configured=1; }
	fetch "$version"
done
[ -z "${configured:-}" ] || forget
