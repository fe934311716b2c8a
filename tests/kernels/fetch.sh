#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fetch.sh CACHE KERNEL...: fetches Debian's kernels into CACHE/KERNEL, where KERNEL is a version as
# 6.1, of which the newest is taken, or "newest" of all.  What is there already is left alone: then
# nothing is asked of the network.  The machine's own apt is not touched, and root is not needed.
set -eu
suites="bullseye bookworm bookworm-backports trixie trixie-backports sid"
[ $# -ge 2 ] || { sed -n '3,5s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1"
cache=$(readlink -f "$1")
shift
apt=$cache/apt
. "${BASH_SOURCE%/*}/../apt.sh"

# "PACKAGE RELEASE" of every plain kernel; newer ones come in two packages beside a meta-package.
packages() {
	own apt-cache search --names-only '^linux-(image|binary)-[0-9.]*[0-9]' |
		sed -nE 's/^(linux-(image|binary)-([0-9]+\.[0-9]+\.[0-9]+([+-][0-9a-z.+]+)?)-amd64) .*/\1 \3/p'
}

# unpack RELEASE FILE: its vmlinuz
unpack() {
	local names deb
	mapfile -t names < <(awk -v release="$1" '$2 == release { print $1 }' "$apt/packages")
	download "${names[@]}" || return 1
	for deb in "$apt"/debs/*.deb; do # tar complains of the package that does not have it
		dpkg-deb --fsys-tarfile "$deb" | tar -x -O --wildcards '*/vmlinuz*' 2>/dev/null || :
	done >"$2"
	rm -rf "$apt/debs"
	[ -s "$2" ]
}

fetch() { # KERNEL: the newest that can be had; the very newest may still be on its way to the mirror
	local release
	for release in $(awk '{ print $2 }' "$apt/packages" | sort -ruV |
		{ if [ "$1" = newest ]; then cat; else grep "^${1//./\\.}\." || :; fi; } | head -n 3); do
		unpack "$release" "$apt/vmlinuz" || continue
		mkdir -p "$cache/$1"
		mv "$apt/vmlinuz" "$cache/$1/vmlinuz"
		echo "$release" >"$cache/$1/release"
		echo "fetched Linux $release"
		return
	done
	echo "no Linux $1 on this machine's Debian mirrors (see $apt/*.log)" >&2
	return 1
}

for kernel; do
	[ ! -e "$cache/$kernel/release" ] || continue
	[ -n "${configured:-}" ] || { configure $suites && packages >"$apt/packages" && configured=1; }
	fetch "$kernel"
done
[ -z "${configured:-}" ] || forget
