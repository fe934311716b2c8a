# SPDX-License-Identifier: GPL-2.0-or-later
"""Attaching and detaching again and again leaves a target under load, and us, as they were.

LEAKTRACE_CYCLES sets how often one process does it.
"""

import json
import os
import statistics
from pathlib import Path

import harness

CYCLES = int(os.environ.get("LEAKTRACE_CYCLES", "1000"))
PROGRAM_CYCLES = 15
RSS_SLACK_KIB = 2048  # the heap's own ups and downs; a leak per cycle is more
LIMIT_S = 600


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class Cycles(harness.TestCase):
    def test_within_one_process(self):
        target = self.target("victim", 1).go()
        before = statistics.median(target.rate() for _ in range(3))
        result = harness.run(harness.BUILD / "bench" / "attach_cycles", str(target.pid),
                             str(CYCLES), timeout=LIMIT_S)
        self.assertEqual(result.returncode, 0, result.stderr)
        seen = json.loads(result.stdout)
        self.assertEqual(seen["cycles"], CYCLES)
        self.assertGreaterEqual(seen["events"], CYCLES)
        self.assertGreater(seen["rss_kib_first"], 0)
        self.assertEqual(seen["fds_last"], seen["fds_first"])
        self.assertLess(seen["rss_kib_last"], seen["rss_kib_first"] + RSS_SLACK_KIB)
        harness.wait_until(lambda: target.rate() > before / 2, "the old speed", 20)
        self.assertEqual(target.quit(), 0)

    def test_of_the_whole_program(self):
        target = self.target("victim", 2).go()
        before = statistics.median(target.rate() for _ in range(3))
        fds = descriptors(target.pid)
        for cycle in range(PROGRAM_CYCLES):
            leaktrace = harness.Leaktrace(target.pid, self.directory)
            try:
                leaktrace.stop()
            finally:
                leaktrace.close()
                leaktrace.json_path.unlink()
            self.assertTrue(target.alive(), f"cycle {cycle}")
        self.assertEqual(descriptors(target.pid), fds)
        harness.wait_until(lambda: target.rate() > before / 2, "the old speed", 20)
        self.assertEqual(target.quit(), 0)

    def test_a_bystander_with_the_same_libc_is_not_slowed(self):
        """A probe in its path would make it a hundred times slower, not a third."""
        target = self.target("victim", 1, 20000).go()
        bystander = self.target("victim", 1).go()
        before = statistics.median(bystander.rate() for _ in range(3))
        leaktrace = self.leaktrace(target)
        leaktrace.wait_report()
        during = statistics.median(bystander.rate() for _ in range(3))
        leaktrace.stop()
        self.assertGreater(during, before / 3)
