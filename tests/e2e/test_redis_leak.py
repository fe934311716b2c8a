# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's redis-server under a mixed load, with a preloaded library of ours that leaks: that leak
and only that leak is named.  tests/replay/test_redis.py has ten minutes of the same."""

import shutil
from pathlib import Path

import harness
from harness import leaking, marked_line
from redis_load import Load, Redis

LIMIT_S = 75


class RedisLeak(harness.TestCase):
    PATIENT = True

    def test_that_leak_and_only_that_leak(self):
        library = shutil.copy(harness.WORKLOADS / "redis_leak.so", self.directory)
        server = self.own(Redis(self.directory, library))
        before = server.connections()
        # Before the load: while what is older than the attach goes, nothing is accused.
        leaktrace = self.leaktrace(server, "--top", 1000)
        load = Load(server)
        self.addCleanup(load.over.set)
        leaktrace.wait_report(leaking, LIMIT_S)
        load.end()
        accepted = server.connections() - before
        final = leaktrace.stop()
        self.assert_no_loss(final, "RELEASE", "ACQUIRE")
        self.assertEqual(final["target"]["allocator"], "jemalloc")
        for report in leaktrace.reports():
            self.assertLessEqual({harness.top_function(s) for s in leaking(report)},
                                 {"note_connection"}, f"after {report['elapsed_s']} s")
        site, = leaking(final)
        frame = site["frames"][0]
        self.assertEqual((Path(frame["file"]).name, frame["line"], frame["module"]),
                         ("redis_leak.c", marked_line("redis_leak.c"), library))
        self.assertEqual(site["acquired_count"], accepted)
        self.assertTrue(server.alive(), server.stderr)
