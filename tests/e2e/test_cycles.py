# SPDX-License-Identifier: GPL-2.0-or-later
"""Attaching and detaching again and again leaves a target under load, and us, as they were.

LEAKTRACE_CYCLES sets how often one process does it.
"""

import os
from pathlib import Path

import harness

CYCLES = int(os.environ.get("LEAKTRACE_CYCLES", "1000"))
PROGRAM_CYCLES = 15
RSS_SLACK_KIB = 2048  # the heap's own ups and downs; a leak per cycle is more
LIMIT_S = 600


def code_of(pid):
    """The bytes of libc's code as the process has them: a uprobe writes int3 there."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if "r-xp" in line and "libc.so" in line:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb") as memory:
                memory.seek(start)
                return memory.read(end - start)
    raise AssertionError("no libc")


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


class ManyCycles(harness.TestCase):
    PATIENT = True  # most of the time the kernel waits for its other CPUs

    def test_within_one_process(self):
        """The program checks the target's code bytes and its own size, cycle by cycle."""
        target = self.target("victim", 1).go()
        result = harness.run(harness.BUILD / "e2e" / "attach_cycles", str(target.pid),
                             str(CYCLES), timeout=LIMIT_S)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"{CYCLES} cycles", result.stdout)
        self.assertGreater(target.rate(), 0)
        self.assertEqual(target.quit(), 0)


class Cycles(harness.TestCase):
    def test_the_way_of_older_kernels(self):
        target = self.target("victim", 2).go()
        result = harness.run(harness.BUILD / "e2e" / "attach_cycles", str(target.pid), "5", "perf",
                             timeout=LIMIT_S)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(target.quit(), 0)

    def test_of_the_whole_program(self):
        target = self.target("victim", 2).go()
        fds = descriptors(target.pid)
        for cycle in range(PROGRAM_CYCLES):
            leaktrace = harness.Leaktrace(target.pid, self.directory, kinds="heap")
            try:
                leaktrace.stop()
            finally:
                leaktrace.close()
                leaktrace.json_path.unlink()
            self.assertTrue(target.alive(), f"cycle {cycle}")
        self.assertEqual(descriptors(target.pid), fds)
        self.assertGreater(target.rate(), 0)
        self.assertEqual(target.quit(), 0)

    def test_a_bystander_with_the_same_libc_has_no_breakpoints(self):
        """A probe attached to every user of the file would show in the bystander's own code."""
        target = self.target("victim", 1, 20000).go()
        bystander = self.target("victim", 1).go()
        before = code_of(bystander.pid)
        traced_before = code_of(target.pid)
        leaktrace = self.leaktrace(target)
        leaktrace.wait_report()
        during, traced = code_of(bystander.pid), code_of(target.pid)
        leaktrace.stop()
        self.assertEqual(during, before)
        self.assertNotEqual(traced, traced_before)
        self.assertEqual(code_of(target.pid), traced_before)
