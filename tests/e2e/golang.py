# SPDX-License-Identifier: GPL-2.0-or-later
"""Go programs of the tests (tests/go), built by each toolchain that is to be tested.

LEAKTRACE_GO_VERSIONS: as "1.19 1.24 newest", fetched from Debian's suites into LEAKTRACE_GO_CACHE; without
it, the go of this machine alone.
"""

import os
import re
import subprocess
from pathlib import Path

from harness import BUILD, LEAKTRACE, ROOT, Process, run

SOURCES = ROOT / "tests" / "go"
CACHE = Path(os.environ.get("LEAKTRACE_GO_CACHE", BUILD / "gocache")).resolve()
LONG_NOP = bytes.fromhex("0f1f440000")  # nopl 0(%rax,%rax,1), with which Go pads before a call
RELEASE = tuple(map(int, re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", os.uname().release).groups("0")))
# Kernels that are known to make a call of a probed one, and to take it back: see user/bpf/optimized.c.
NOPS_ARE_CALLED = (6, 18, 40) <= RELEASE < (6, 19)
OWN = "own"  # the go of this machine
BUILD_S = 600  # a limit


def versions():
    return os.environ.get("LEAKTRACE_GO_VERSIONS", "").split() or [OWN]


def _run(*argv):
    done = subprocess.run([os.fspath(a) for a in argv], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=BUILD_S)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: {done.stdout}{done.stderr}")


def toolchain(version):
    """Its go command, fetched if need be."""
    if version == OWN:
        return "go"
    _run(SOURCES / "fetch.sh", CACHE, version)
    return CACHE / version / "bin" / "go"


def build(version, *programs):
    """The directory where these programs are, or the usual ones: see tests/go/build.sh."""
    directory = BUILD / "go" / ("" if version == OWN else version)
    _run(SOURCES / "build.sh", toolchain(version), directory, *programs)
    return directory


def minor(version):
    """N of Go 1.N, of versions()."""
    said = subprocess.run([toolchain(version), "env", "GOVERSION"], capture_output=True, text=True,
                          check=True)
    return int(said.stdout.split(".")[1])


def start(program, *arguments, **environment):
    """The process, once it says that it is ready; said: the other words of that line."""
    process = Process([program, *arguments], env=dict(os.environ, **environment))
    words = process.line().split()
    if "ready" not in words or str(process.pid) not in words:
        process.close()
        raise AssertionError(f"{program} said {words}")
    process.said = [w for w in words if w not in ("ready", str(process.pid))]
    return process


def counts(line):
    """The numbers in a line of names and numbers."""
    return [int(word) for word in line.split()[1::2]]


class CreateSite:
    """The call in a Go program's runtime where --go-probes sees goroutines made."""

    def __init__(self, pid):
        explained = run(LEAKTRACE, "--explain", "-p", str(pid), "--go-probes").stdout
        offset, nop = re.search(r"go_create +at file offset (\w+)(.*NOP)?", explained).groups()
        name = re.escape(os.readlink(f"/proc/{pid}/exe"))
        start, mapped = re.search(rf"^(\w+)-\w+ r-xp (\w+) .* {name}$",
                                  Path(f"/proc/{pid}/maps").read_text(), re.M).groups()
        self.pid = pid
        self.call = int(start, 16) - int(mapped, 16) + int(offset, 16)
        if bool(nop) != (self.code()[0] == LONG_NOP):
            raise AssertionError(f"{explained}: {self.code()}")

    def code(self):
        """What is before the call, as long as a long NOP; and the call."""
        with open(f"/proc/{self.pid}/mem", "rb") as memory:
            memory.seek(self.call - len(LONG_NOP))
            return memory.read(len(LONG_NOP)), memory.read(5)


def has_trampoline(pid):
    """The kernel has put there what probed NOPs call."""
    return "[uprobes-trampoline]" in Path(f"/proc/{pid}/maps").read_text()
