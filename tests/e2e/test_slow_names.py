# SPDX-License-Identifier: GPL-2.0-or-later
"""Debug information that takes long to read holds up neither the events nor the reports."""

import os
import pty
import select
import signal
import subprocess

import harness
from harness import top_function

# libdw waits here until the file "gate" exists.
SLOW_LIBDW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
void *dwarf_begin_elf(void *elf, int command, void *group)
{
    void *(*next)(void *, int, void *) = dlsym(RTLD_NEXT, "dwarf_begin_elf");
    while (access(getenv("GATE"), F_OK))
        usleep(10000);
    return next(elf, command, group);
}
"""
READING = "leaktrace: reading debug information of "


class SlowNames(harness.TestCase):
    def setUp(self):
        super().setUp()
        source, library = self.directory / "slow.c", self.directory / "slow.so"
        source.write_text(SLOW_LIBDW)
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
        self.gate = self.directory / "gate"
        self.slow = {**os.environ, "LD_PRELOAD": str(library), "GATE": str(self.gate)}

    def leaktrace_at_the_gate(self, target, *options, **more):
        return self.leaktrace(target, "--top", 1000, *options, env=self.slow, **more)

    def unnamed(self, report):
        return report["sites"] and not any(map(top_function, report["sites"]))

    def test_events_are_read_and_reports_go_out(self):
        target = self.target("family", 2, 100000, 1)
        leaktrace = self.leaktrace_at_the_gate(target)
        truth = target.go().truth()
        for _ in range(3):
            self.assert_no_loss(leaktrace.wait_report(self.unnamed))
        self.gate.touch()
        leaktrace.wait_report(lambda report: any(map(top_function, report["sites"])))
        report = leaktrace.stop()
        self.assert_no_loss(report)
        self.assert_truth(report, truth)
        self.assertNotIn(READING, leaktrace.stderr)

    def test_the_final_report_has_all_names(self):
        """The target is gone, and the recording has the names, too."""
        recording = self.directory / "recording"
        target = self.target("family", 1, 10000, 1)
        leaktrace = self.leaktrace_at_the_gate(target, "--record", recording, "-v")
        truth = target.go().truth()
        leaktrace.wait_report(self.unnamed)
        target.quit()
        harness.wait_until(lambda: READING in leaktrace.stderr, "a word about the delay")
        self.gate.touch()
        report = leaktrace.final()
        self.assert_truth(report, truth)
        self.assertEqual(report["end"]["reason"], "exited")
        replayed = harness.run(harness.LEAKTRACE, "replay", recording, "--json", "-", "--top",
                               "1000")
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        self.assertEqual(replayed.stdout, leaktrace.json_path.read_text())

    def test_a_second_sigint_does_not_wait(self):
        target = self.target("victim", 1, 20000).go()
        leaktrace = self.leaktrace_at_the_gate(target, "-v", interval=60)
        self.assert_works(target)  # so there is something to name
        leaktrace.signal(signal.SIGINT)
        harness.wait_until(lambda: READING in leaktrace.stderr, "a word about the delay")
        self.assertTrue(leaktrace.alive())
        leaktrace.signal(signal.SIGINT)
        self.assertEqual(leaktrace.wait(), -signal.SIGINT)
        self.assert_works(target)

    def test_a_terminal_is_told_why_it_waits(self):
        target = self.target("victim", 1, 20000).go()
        self.assert_works(target)
        reader, writer = pty.openpty()
        self.addCleanup(os.close, reader)
        process = subprocess.Popen(
            [harness.LEAKTRACE, "-p", str(target.pid), "1", "2"], env=self.slow, stderr=writer,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        os.close(writer)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        heard = b""
        while READING.encode() not in heard:
            self.assertTrue(select.select([reader], [], [], harness.PATIENCE_S)[0], heard)
            heard += os.read(reader, 4096)
        self.gate.touch()
        self.assertEqual(process.wait(harness.PATIENCE_S), 0)
