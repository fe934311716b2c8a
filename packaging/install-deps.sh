#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# install-deps.sh build|check|kernels|lint|bench: installs what is missing of Debian's packages, and is
# silent and offline when nothing is.  Needs root only if something has to be installed.
set -eu

build="gcc libc6-dev clang llvm libbpf-dev bpftool libelf-dev libdw-dev zlib1g-dev libzydis-dev
	libiberty-dev uthash-dev liblzma-dev"
check="$build libcmocka-dev libdebuginfod1|libdebuginfod1t64 libclang-rt-dev g++ rustc binutils python3 prometheus prometheus-node-exporter
	memcached nginx-light redis-server redis-tools postgresql libpq-dev sqlite3 libsqlite3-dev nodejs libjemalloc-dev libgoogle-perftools-dev libunwind-dev libmimalloc-dev musl-tools libboost-context1.74.0|libboost-context1.83.0|libboost-context1.88.0
	util-linux mandoc golang-go golang-google-grpc-dev"
kernels="$check qemu-system-x86 busybox-static debian-archive-keyring"
lint="$build clang-format clang-tidy shellcheck"
bench="$build python3 redis-server redis-tools memcached nginx-light wrk golang-go"

case ${1:-} in
build) wanted=$build ;;
check) wanted=$check ;;
kernels) wanted=$kernels ;;
lint) wanted=$lint ;;
bench) wanted=$bench ;;
*) echo "usage: install-deps.sh build|check|kernels|lint|bench" >&2; exit 2 ;;
esac

# Names that differ from release to release stand in one word, a|b.
installed() {
	echo "$1" | tr '|' '\n' | xargs dpkg-query -W -f '${db:Status-Status}\n' 2>/dev/null | grep -qx installed
}
missing=''
for package in $wanted; do
	installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
sudo=''
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing"
# Installed servers must not start by themselves: the tests start their own.
policy=/usr/sbin/policy-rc.d
made=''
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
	$sudo chmod 755 $policy
	made=1
fi
status=0
offered() {
	for package in $missing; do
		for name in $(echo "$package" | tr '|' ' '); do
			apt-cache show "$name" >/dev/null 2>&1 && break
		done
		echo "$name"
	done
}
{ $sudo apt-get update -qq && missing=$(offered) &&
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null; } || status=$?
[ -z "$made" ] || $sudo rm -f $policy
exit $status
