# SPDX-License-Identifier: GPL-2.0-or-later
"""What a container runtime does, as far as a tracer sees it.

    contain.py run TREE HOST_UID UID PROGRAM ARGUMENT...
        runs it in mount and pid namespaces of its own, its root moved into the tree (pivot_root).
        With HOST_UID in a user namespace too, whose ids begin there; who starts it hears
        "unshared", writes the map of ids, and says "mapped".  It begins as UID there.
        Says "pid N", which is the program's number outside, and ends with its status.
    contain.py overlay LOWER UPPER WORK TREE ...: as run, with a tree that is put together
    contain.py enter PID ROOT PROGRAM ARGUMENT...
        becomes the program, among the files of a process: in its mount namespace, with this root;
        but with our pids, as /proc there tells.
"""

import ctypes
import os
import signal
import sys

NEWNS, NEWUSER, NEWPID = 0x20000, 0x10000000, 0x20000000  # CLONE_*, linux/sched.h
BIND, REC, PRIVATE, DETACH = 0x1000, 0x4000, 0x40000, 2  # MS_*, MNT_DETACH: linux/mount.h
PDEATHSIG = 1  # PR_SET_PDEATHSIG, linux/prctl.h
SYS_PIVOT_ROOT = 155  # x86-64
LIBC = ctypes.CDLL(None, use_errno=True)


def call(function, *arguments):
    """A function of libc, or OSError."""
    arguments = [a.encode() if isinstance(a, str) else a for a in arguments]
    if getattr(LIBC, function)(*arguments) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}{arguments}: {os.strerror(error)}")


def mount(source, target, kind=None, flags=0, options=None):
    call("mount", source, target, kind, ctypes.c_ulong(flags), options)


def say(line):
    os.write(1, line.encode() + b"\n")


def hear(line):
    """Byte by byte: what follows is the program's."""
    heard = b""
    while not heard.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(1)
        heard += byte
    if heard != line.encode() + b"\n":
        sys.exit(f"heard {heard}")


def enter_user_namespace():
    call("unshare", NEWUSER)
    say("unshared")
    hear("mapped")
    os.setgid(0)
    os.setuid(0)


def become(tree, uid, program):
    """The first process of the pid namespace."""
    mount("proc", f"{tree}/proc", "proc")
    os.chdir(tree)
    call("syscall", SYS_PIVOT_ROOT, ".", ".")
    call("umount2", ".", DETACH)
    os.chdir("/")
    os.setgid(uid)
    os.setuid(uid)
    call("prctl", PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.execv(program[0], program)


def run(overlay, tree, host_uid, uid, *program):
    if int(host_uid):
        enter_user_namespace()
    call("unshare", NEWNS | NEWPID)
    mount("none", "/", None, REC | PRIVATE)
    if overlay:
        mount("overlay", tree, "overlay", 0, "lowerdir={},upperdir={},workdir={}".format(*overlay))
    else:
        mount(tree, tree, None, BIND | REC)
    wait, told = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(wait, 1)
        become(tree, int(uid), program)
    say(f"pid {pid}")
    os.write(told, b".")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def enter(pid, root, *program):
    namespace = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    call("setns", namespace, NEWNS)
    call("unshare", NEWNS)  # for the mounts below
    mount("none", "/", None, REC | PRIVATE)
    mount("proc", f"{root}/proc", "proc")
    mount("sysfs", f"{root}/sys", "sysfs")
    os.chroot(root)
    os.chdir("/")
    os.execv(program[0], program)


def main(how, *arguments):
    if how == "enter":
        enter(*arguments)
    elif how == "overlay":
        run(arguments[:3], *arguments[3:])
    else:
        run(None, *arguments)


main(*sys.argv[1:])
