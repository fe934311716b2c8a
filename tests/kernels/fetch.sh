#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fetch.sh CACHE KERNEL...: fetches Debian's kernels into CACHE/KERNEL, where KERNEL is a version as
# 6.1, of which the newest is taken, or "newest" of all.  What is there already is left alone: then
# nothing is asked of the network.  Uses apt with lists and cache of its own and the mirrors that this
# machine is configured for; the machine's own apt is not touched, and root is not needed.
set -eu
suites="bullseye bookworm bookworm-backports trixie trixie-backports sid"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ $# -ge 2 ] || { sed -n '3,6s/^# //p' "$0" >&2; exit 2; }
mkdir -p "$1"
cache=$(readlink -f "$1")
shift
apt=$cache/apt

own() { # PROGRAM ARGUMENT...: one of apt's programs with our configuration
	"$1" -q -c "$apt/apt.conf" "${@:2}"
}

# The mirror of PATTERN's suites, as this machine has it in whatever syntax.
mirror() {
	apt-get -o Dir::State::lists="$apt/none" update --print-uris |
		sed -n "s,^'\(.*\)/dists/$1/InRelease'.*,\1,p" | head -n 1
}

configure() {
	local main security suite
	mkdir -p "$apt/none/partial" "$apt/lists/partial" "$apt/cache/archives/partial"
	: >"$apt/status"
	main=$(mirror '[^/]*-updates') # Debian's own archive has this one, others do not
	security=$(mirror '[^/]*-security')
	[ -n "$main" ] || { echo "no Debian mirror is configured on this machine" >&2; return 1; }
	for suite in $suites; do
		echo "deb [signed-by=$keyring] $main $suite main"
		case $suite in bullseye | bookworm | trixie)
			[ -z "$security" ] || echo "deb [signed-by=$keyring] $security $suite-security main"
		esac
	done >"$apt/sources.list"
	# Given by -c it is read last: what the machine configures for its proxy holds, its hooks do not.
	cat >"$apt/apt.conf" <<-CONF
		#clear APT::Update;
		#clear DPkg;
		APT::Architecture "amd64";
		APT::Sandbox::User "root";
		Acquire::Check-Valid-Until "false";
		Acquire::Languages "none";
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "-";
		Dir::State::lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
	CONF
	# A suite may have left the mirror: that shows when one of the kernels is not found.
	own apt-get update >"$apt/update.log" 2>&1 || :
}

# "PACKAGE RELEASE" of every plain kernel; newer ones come in two packages beside a meta-package.
packages() {
	own apt-cache search --names-only '^linux-(image|binary)-[0-9.]*[0-9]' |
		sed -nE 's/^(linux-(image|binary)-([0-9]+\.[0-9]+\.[0-9]+([+-][0-9a-z.+]+)?)-amd64) .*/\1 \3/p'
}

# unpack RELEASE FILE: its vmlinuz
unpack() {
	local names deb
	rm -rf "$apt/debs"
	mkdir "$apt/debs"
	mapfile -t names < <(awk -v release="$1" '$2 == release { print $1 }' "$apt/packages")
	(cd "$apt/debs" && own apt-get download "${names[@]}") >"$apt/download.log" 2>&1 || return 1
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
	[ -n "${configured:-}" ] || { configure && packages >"$apt/packages" && configured=1; }
	fetch "$kernel"
done
[ -z "${configured:-}" ] || rm -rf "$apt/lists" "$apt/cache" # 100 MB, of no use to the next run
