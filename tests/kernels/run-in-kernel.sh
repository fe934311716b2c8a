#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run-in-kernel.sh [-m MIB] [-s CPUS] [-t SECONDS] [-f FILES] KERNEL COMMAND...
# Boots KERNEL (a vmlinuz) in QEMU and runs COMMAND (sh syntax) there as root in the directory this
# was called in.  All files are in memory: busybox, and copies of what FILES lists, one path a line;
# programs bring the libraries they need, directories what is in them.
# Exit status: that of COMMAND; 124: time limit; 125: the machine died or never got there.
# Environment: KARGS, more for the kernel's command line; KEEP=1 leaves the console's log.
#
# The machine's clock counts instructions (2 ns each) and jumps when all is idle: waiting costs
# nothing, and how fast or busy this machine is cannot be seen inside.  No /dev/kvm is needed.
set -u
memory=1024 cpus=1 limit=300 files=/dev/null busybox=/bin/busybox
usage() {
	sed -n '3,9s/^# //p' "$0" >&2
	exit 2
}
while getopts m:s:t:f: option; do
	case $option in
	m) memory=$OPTARG ;;
	s) cpus=$OPTARG ;;
	t) limit=$OPTARG ;;
	f) files=$OPTARG ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
kernel=$1
shift
work=$(mktemp -d "${TMPDIR:-/tmp}/kernel.XXXXXX")
cleanup() {
	if [ -n "${KEEP:-}" ]; then echo "kept $work" >&2; else rm -rf "$work"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The file system.  Links in a path are followed, so that /lib and /usr/lib stay one.
root=$work/root
mkdir -p "$root"/{proc,sys,dev,tmp,run,usr/bin,usr/sbin,usr/lib,usr/lib64} "$root$PWD"
ln -s usr/bin usr/sbin usr/lib usr/lib64 "$root"
cp "$busybox" "$root/usr/bin/busybox"
{
	xargs -a "$files" -d '\n' -r -I '{}' find -L '{}' -type f
	xargs -a "$files" -d '\n' -r -I '{}' find -L '{}' -type f \( -perm -100 -o -name '*.so*' \) |
		xargs -d '\n' -r ldd 2>/dev/null | sed -nE 's,.*[[:space:]](/[^ ]+) \(0x.*,\1,p'
} | sort -u | xargs -d '\n' -r cp -L --parents -t "$root" || exit 2
printf 'export PATH=%q\ncd %q\n%s\n' "$PATH" "$PWD" "$*" >"$root/run/command"
cat >"$root/init" <<'INIT'
#!/bin/busybox sh
export PATH=/usr/bin:/usr/sbin HOME=/tmp
mount() { busybox mount "$@"; } # until more is there
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/console >/dev/console 2>&1
for program in $(busybox --list); do # what was copied comes first
	[ -e /usr/bin/$program ] || [ -e /usr/sbin/$program ] || busybox ln -s busybox /usr/bin/$program
done
stty -onlcr
chmod 1777 /tmp
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
mount -t tracefs trace /sys/kernel/tracing
mount -t securityfs security /sys/kernel/security
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ln -s /proc/self/fd /dev/fd
ip link set lo up
echo "##machine begins"
sh /run/command </dev/null
echo "##machine exit $?"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) >"$work/initrd"

timeout "$limit" qemu-system-x86_64 -machine q35 -accel tcg -cpu max,la57=off \
	-icount shift=1,sleep=off -smp "$cpus" -m "$memory" -nodefaults -display none -no-reboot \
	-serial stdio -kernel "$kernel" -initrd "$work/initrd" \
	-append "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off apparmor=0 selinux=0 \
random.trust_cpu=on rcupdate.rcu_expedited=1 ${KARGS:-}" </dev/null 2>"$work/qemu.err" |
	tee "$work/console" |
	awk '/##machine begins/ { on = 1; next }
		/##machine exit/ { sub(/##machine exit.*/, ""); if ($0 != "") print; on = 0 }
		on { print; fflush() }'
[ "${PIPESTATUS[0]}" != 124 ] || { echo "time limit" >&2; exit 124; }
status=$(sed -n 's/.*##machine exit \([0-9]*\).*/\1/p' "$work/console" | tail -n 1)
[ -n "$status" ] || { tail -n 25 "$work/console" "$work/qemu.err" >&2; exit 125; }
exit "$status"
