#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# build.sh GO OUTDIR [PROGRAM...]: builds the Go programs of the tests with this toolchain into OUTDIR, the
# usual ones if none is named, all if "all" is.  What is newer than all sources is left alone.
set -eu
[ $# -ge 2 ] || { sed -n '3,4s/^# //p' "$0" >&2; exit 2; }
go=$(command -v "$1")
mkdir -p "$2"
out=$(readlink -f "$2")
shift 2
cd "${BASH_SOURCE%/*}"
export GO111MODULE=off GOFLAGS='' GOTOOLCHAIN=local CGO_ENABLED=0
export GOCACHE=${GOCACHE:-$out/cache}
exec 9>"$out/lock"
flock 9 # the tests run side by side
usual="truth-plain truth-stripped noprofile births churn deep cgo forks-c forks-raw leaks grpc"
all="$usual truth-pie truth-cgo truth-trimpath truth-noopt truth-race noprofile-stripped"

build() { # PROGRAM OPTION...
	nice "$go" build -o "$out/$1.new" "${@:2}"
	case $1 in *-stripped) strip "$out/$1.new" ;; esac
	mv "$out/$1.new" "$out/$1"
}

program() { # PROGRAM
	case $1 in
	truth-plain) build "$1" truth.go ;;
	truth-stripped) build "$1" -ldflags '-s -w' truth.go ;;
	truth-pie) build "$1" -buildmode=pie truth.go ;;
	truth-cgo) CGO_ENABLED=1 build "$1" truth.go truth_cgo.go ;;
	truth-trimpath) build "$1" -trimpath truth.go ;;
	truth-noopt) build "$1" -gcflags '-N -l' truth.go ;;
	truth-race) CGO_ENABLED=1 build "$1" -race truth.go ;;
	births) build "$1" ./births ;;
	churn) build "$1" churn.go ;;
	deep) build "$1" deep.go ;;
	cgo) CGO_ENABLED=1 build "$1" cgo.go ;;
	forks-c) CGO_ENABLED=1 build "$1" forks.go forks_c.go ;;
	forks-raw) build "$1" forks.go forks_raw.go ;;
	leaks) build "$1" ./leaks ;;
	grpc) GOPATH=/usr/share/gocode build "$1" ./grpc ;; # Debian's golang-google-grpc-dev
	noprofile) build "$1" noprofile.go ;;
	noprofile-stripped) build "$1" -ldflags '-s -w' noprofile.go ;;
	*) echo "build.sh: no program $1" >&2; return 1 ;;
	esac
}

[ $# -gt 0 ] || set -- $usual
[ "$*" != all ] || set -- $all
for name; do
	[ -e "$out/$name" ] && [ -z "$(find -H . "$go" -newer "$out/$name" -type f -print -quit)" ] || program "$name"
done
