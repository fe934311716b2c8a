#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""make_redis.py BUILD: records redis_{clean,leak}.ltrec.xz anew (root; 13 minutes).

Debian's redis-server is traced for ten minutes while it serves a mixed load; in redis_leak a
library of ours is preloaded, which leaks.  Both run at once.
"""

import lzma
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = 600
PLACE = Path("/tmp/leaktrace-fixture")  # neutral, for paths are part of a recording

sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "e2e"))
os.environ["LEAKTRACE_BUILD"] = str(Path(sys.argv[1]).resolve())

import harness  # pylint: disable=wrong-import-position
import redis_load  # pylint: disable=wrong-import-position

WARM_UP_S = redis_load.LONG_LIFE_S + 30  # what lives for minutes has begun to expire


class Session:
    """One server under load, and after its warm-up leaktrace."""

    def __init__(self, name, directory, preload):
        self.name, self.file = name, directory / f"{name}.ltrec"
        self.server = redis_load.Redis(directory, preload)
        self.load = redis_load.Load(self.server)

    def record(self):
        self.leaktrace = harness.Process([harness.LEAKTRACE, "-q", "-p", str(self.server.pid),
                                          "--record", self.file, "1", str(SECONDS)])

    def end(self):
        try:
            status = self.leaktrace.wait(SECONDS + harness.PATIENCE_S)
            if status:
                raise AssertionError(f"leaktrace ended with {status}: {self.leaktrace.stderr}")
            self.load.end()
        finally:
            self.server.close()
        packed = HERE / f"{self.name}.ltrec.xz"
        packed.write_bytes(lzma.compress(self.file.read_bytes(), preset=9 | lzma.PRESET_EXTREME))
        print(packed, packed.stat().st_size, "bytes, unpacked", self.file.stat().st_size)


def main():
    PLACE.mkdir()
    try:
        library = shutil.copy(harness.WORKLOADS / "redis_leak.so", PLACE)
        sessions = []
        for kind in ("clean", "leak"):
            directory = Path(tempfile.mkdtemp(dir=PLACE))
            preload = library if kind == "leak" else None
            sessions.append(Session(f"redis_{kind}", directory, preload))
        time.sleep(WARM_UP_S)
        for session in sessions:
            session.record()
        for session in sessions:
            session.end()
    finally:
        shutil.rmtree(PLACE)


main()
