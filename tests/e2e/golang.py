# SPDX-License-Identifier: GPL-2.0-or-later
"""Go programs of the tests (tests/go), built by each toolchain that is to be tested.

LEAKTRACE_GO_VERSIONS: as "1.19 1.24 newest", fetched from Debian's suites into LEAKTRACE_GO_CACHE; without
it, the go of this machine alone.
"""

import os
import subprocess
from pathlib import Path

from harness import BUILD, ROOT, Process

SOURCES = ROOT / "tests" / "go"
CACHE = Path(os.environ.get("LEAKTRACE_GO_CACHE", BUILD / "gocache")).resolve()
OWN = "own"  # the go of this machine
BUILD_S = 600  # a limit


def versions():
    return os.environ.get("LEAKTRACE_GO_VERSIONS", "").split() or [OWN]


def _run(*argv):
    done = subprocess.run([os.fspath(a) for a in argv], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=BUILD_S)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: {done.stdout}{done.stderr}")


def build(version, *programs):
    """The directory where these programs are, or the usual ones: see tests/go/build.sh."""
    if version == OWN:
        go, directory = "go", BUILD / "go"
    else:
        _run(SOURCES / "fetch.sh", CACHE, version)
        go, directory = CACHE / version / "bin" / "go", BUILD / "go" / version
    _run(SOURCES / "build.sh", go, directory, *programs)
    return directory


def minor(version):
    """N of Go 1.N, of versions()."""
    go = "go" if version == OWN else CACHE / version / "bin" / "go"
    said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)
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
