# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# apt.sh is sourced by what fetches Debian's packages to unpack them, not to install them: apt with
# lists and cache of its own below $apt and the mirrors that this machine is configured for.  The
# machine's own apt is not touched, and root is not needed.
: "${apt:?a folder for lists and cache}"
apt_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

own() { # PROGRAM ARGUMENT...: one of apt's programs with our configuration
	"$1" -q -c "$apt/apt.conf" "${@:2}"
}

# The mirror of PATTERN's suites, as this machine has it in whatever syntax.
mirror() {
	apt-get -o Dir::State::lists="$apt/none" update --print-uris |
		sed -n "s,^'\(.*\)/dists/$1/InRelease'.*,\1,p" | head -n 1
}

configure() { # SUITE...
	local main security suite
	mkdir -p "$apt/none/partial" "$apt/lists/partial" "$apt/cache/archives/partial"
	: >"$apt/status"
	main=$(mirror '[^/]*-updates') # Debian's own archive has this one, others do not
	security=$(mirror '[^/]*-security')
	[ -n "$main" ] || { echo "no Debian mirror is configured on this machine" >&2; return 1; }
	for suite; do
		echo "deb [signed-by=$apt_keyring] $main $suite main"
		case $suite in bullseye | bookworm | trixie)
			[ -z "$security" ] || echo "deb [signed-by=$apt_keyring] $security $suite-security main"
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
	# A suite may have left the mirror: that shows when one of the packages is not found.
	own apt-get update >"$apt/update.log" 2>&1 || :
}

download() { # PACKAGE...: into $apt/debs, which has nothing else
	rm -rf "$apt/debs"
	mkdir "$apt/debs"
	(cd "$apt/debs" && own apt-get download "$@") >"$apt/download.log" 2>&1
}

forget() { # what is of no use to the next run: 100 MB
	rm -rf "$apt/lists" "$apt/cache" "$apt/debs"
}
