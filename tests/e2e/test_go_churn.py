# SPDX-License-Identifier: GPL-2.0-or-later
"""Goroutines that come and go, wait and grow while they are read: no stack is a guess, nobody is harmed.

LEAKTRACE_GO_CHURN_S: for how long, in each mode; make check-go takes ten minutes.
"""

import collections
import os
import signal
import time

import golang
from harness import Leaktrace, TestCase

SECONDS = float(os.environ.get("LEAKTRACE_GO_CHURN_S", 12))

# Who may call whom in tests/go/churn.go.
CALLERS = {
    "main.parkReceive": {"main.park"}, "main.parkSelect": {"main.park"},
    "main.parkSleep": {"main.park"}, "main.parkLock": {"main.park"},
    "main.park": {"main.grow", "main.shallow"}, "main.shallow": {"main.worker"},
    "main.grow": {"main.grow", "main.worker"},
}
CREATORS = {"main.worker": "main.spawn", "main.spawn": "main.main", "main.collect": "main.main",
            "main.parkReceive.func1": "time.goFunc"}

# Where one stands that does this is chance: it is known by what it began with.
BY_CHANCE = ("started", "running", "runnable", "preempted", "GC assist marking", "GC assist wait")


class Churn(TestCase):
    PATIENT = True

    def check_stack(self, site):
        """None, or what is wrong with a stack that is told as whole."""
        frames = site["frames"]
        at = next((i for i, f in enumerate(frames) if f.get("mark") == "created by"), len(frames))
        own = [f["func"] for f in frames[:at] if f.get("func", "").startswith("main.")]
        made = [f["func"] for f in frames[at + 1:]
                if f.get("func") and not f["func"].startswith("runtime.newproc")]
        for callee, caller in zip(own, own[1:]):
            if caller not in CALLERS.get(callee, ()):
                return f"{callee} is not called by {caller}"
        if not own and frames[0].get("mark") in BY_CHANCE:
            # Where it stands is chance, what it began with a wrapper: who made it is all there is.
            made = [f for f in made if not f.startswith("runtime.")]
            return None if made[:1] and made[0] in CREATORS.values() else f"made by {made}"
        if not own:
            return "no function of the program"
        if own == ["main.main"]:
            return None
        creator = CREATORS.get(own[-1])
        if creator is None:
            return f"no goroutine begins with {own[-1]}"
        return None if made[:1] == [creator] else f"{own[-1]} is not made by {made[:1]}"

    def churn(self, *options, loss=()):
        """All versions at once, under one session; together they make as much as one alone."""
        targets, pause_ms = {}, 4 * len(golang.versions())
        for version in golang.versions():
            target = self.own(golang.start(golang.build(version, "churn") / "churn", str(pause_ms)))
            targets[target.pid] = target
            target.version = version
        leaktrace = self.own(Leaktrace(
            ",".join(map(str, targets)), self.directory, "--top", 1000, *options,
            interval=max(1, SECONDS // 100), kinds=None))
        time.sleep(SECONDS)
        leaktrace.signal(signal.SIGINT)
        self.assertEqual(leaktrace.wait(), 0, leaktrace.stderr)
        for target in targets.values():
            with self.subTest(target.version):
                self.assertTrue(target.alive(), target.stderr)
                target.say("end")
                made, broken = golang.counts(target.line())
                self.assertEqual(target.wait(), 0, target.stderr)
                self.assertEqual(broken, 0)
                self.assertGreater(made, 1000 * SECONDS / 10)
        self.check_reports(leaktrace, targets, loss)

    def check_reports(self, leaktrace, targets, loss):
        wrong, whole, final = [], collections.Counter(), set()
        for report in leaktrace.each_report():
            pid = report["target"]["pid"]
            for site in report["sites"]:
                if site["kind"] != "goroutine" or site.get("stack_end"):
                    continue
                whole[pid] += 1
                problem = self.check_stack(site)
                if problem:
                    wrong.append((targets[pid].version, problem,
                                  [f.get("func") or f.get("mark") for f in site["frames"]]))
            if report["final"]:
                final.add(pid)
                self.assert_no_loss(report, *loss)
        self.assertEqual(final, targets.keys())
        self.assertGreater(min(whole[pid] for pid in targets), 10)
        self.assertEqual(wrong[:3], [], f"{len(wrong)} of {whole.total()}")

    def test_by_default(self):
        self.churn()

    def test_with_probes(self):
        self.churn("--go-probes", loss=("RELEASE", "ACQUIRE"))
