# SPDX-License-Identifier: GPL-2.0-or-later
"""What leaktrace reads of a Go program equals what the program says of itself by Go's own profiler."""

import itertools
import json
import signal

import golang
import gotruth
import harness

PROGRAMS = ("truth-plain", "truth-stripped")
ALL_PROGRAMS = (*PROGRAMS, "truth-pie", "truth-cgo", "truth-trimpath", "truth-noopt", "truth-race")
PAGE_NOISE = 1 << 20  # what a program does to answer a request is in its figures, too
RUNTIME_KEEPS = 32  # frames, at least: fewer of them are a whole stack
CALL, BREAKPOINT = b"\xe8", b"\xcc"
SMALL = 64 << 20  # of what is read no ring has to keep anything: the rings are 64 MiB, mapped twice


class GoTruth(harness.TestCase):
    PATIENT = True
    maxDiff = None

    def check(self, program):
        truth = self.own(gotruth.Truth(program))
        truth.get("/freeze")
        before = truth.goroutines(), truth.heap()
        leaktrace = self.leaktrace(truth, "--top", 1000, kinds=None, count=1)
        report = leaktrace.final()
        figures = truth.figures()
        # A goroutine of its net/http may be in a system call for a moment.
        harness.wait_until(lambda: before == (truth.goroutines(), truth.heap()),
                           "the program at rest, as it was before", every_s=0.5)
        self.check_goroutines(before[0], gotruth.goroutines_of(report))
        self.check_heap(before[1], gotruth.heap_of(report))
        self.assertEqual([site["frames"] for site in report["sites"] if site["kind"] == "go-heap"
                          and site["stack_end"] and len(site["frames"]) < RUNTIME_KEEPS], [])
        self.check_figures(report["runtime"], figures, sum(before[0].values()))
        self.assert_no_loss(report)
        self.assertLess(report["collector"]["rss_bytes"], SMALL)
        self.assertTrue(truth.process.alive())

    def check_goroutines(self, expected, got):
        self.assertGreater(len(expected), 30)
        self.assertEqual([(group, expected[group], got[group])
                          for group in expected.keys() | got.keys()
                          if expected[group] != got[group]], [], "(group, truth, leaktrace)")

    def check_heap(self, expected, got):
        self.assertGreater(len(expected), 5)
        nothing = gotruth.Site(0, 0, 0)
        wrong = []
        for key in expected.keys() | got.keys():
            truth, told = expected.get(key, nothing), got.get(key, nothing)
            if max(abs(truth.bytes - told.bytes), abs(truth.count - told.count)) > truth.sizes + 1:
                wrong.append((key, truth, told))
        self.assertEqual(wrong, [], "(frames, truth, leaktrace)")

    def check_figures(self, got, figures, goroutines):
        stats = figures["MemStats"]
        self.assertEqual(got["version"], figures["Version"])
        self.assertEqual(got["goroutines"], goroutines)
        self.assertEqual(got["gc_count"], stats["NumGC"])
        self.assertEqual(got["next_gc_bytes"], stats["NextGC"])
        self.assertAlmostEqual(got["gc_pause_total_s"], stats["PauseTotalNs"] / 1e9, places=6)
        for name, its_name in (("heap_inuse_bytes", "HeapInuse"), ("heap_idle_bytes", "HeapIdle"),
                               ("heap_released_bytes", "HeapReleased"),
                               ("stacks_inuse_bytes", "StackInuse")):
            self.assertAlmostEqual(got[name], stats[its_name], delta=PAGE_NOISE, msg=name)

    def test_groups_and_bytes(self):
        for version in golang.versions():
            names = PROGRAMS if version == golang.OWN else ALL_PROGRAMS
            for name in names:
                with self.subTest(f"{version} {name}"):
                    self.check(golang.build(version, name) / name)

    def test_stacks_that_were_cut(self):
        """They say so, and two of them are not taken for one."""
        for version in golang.versions():
            with self.subTest(version):
                target = self.own(golang.start(golang.build(version, "deep") / "deep"))
                report = self.leaktrace(target, "--top", 1000, kinds=None, count=1).final()
                # Not what the garbage collector needs, which it starts from there.
                sites = [site for site in report["sites"] if site["kind"] == "go-heap"
                         and site["acquired_count"] >= 100]
                self.assertEqual(len(sites), 2 if golang.minor(version) >= 23 else 1)
                self.assertEqual(sum(site["live_bytes"] for site in sites), int(target.said[0]))
                self.assertEqual({site["stack_end"] for site in sites}, {"frame limit reached"})

    def test_explain(self):
        """Of the probes that could be, it says where each would go, or why not."""
        program = golang.build(golang.OWN, "noprofile") / "noprofile"
        target = self.own(golang.start(program))
        argv = (harness.LEAKTRACE, "--explain", "-p", str(target.pid))
        text = harness.run(*argv).stdout
        self.assertRegex(text, r"\nGo: go1\.[0-9.]+, .* without a probe\n")
        self.assertNotIn("go_create", text)
        text = harness.run(*argv, "--go-probes").stdout
        self.assertRegex(text, r"\n +go_create +at file offset 0x[0-9a-f]+(, or the NOP before it)?\n")
        self.assertRegex(text, r"\n +go_body +not needed: ")

    def test_every_creation_counts(self):
        """Once, however short it lived and whoever looked meanwhile: what walks met, and what none did."""
        for version in golang.versions():
            with self.subTest(version):
                target = self.own(golang.start(golang.build(version, "births") / "births"))
                recording, again = (self.directory / name for name in ("births.rec", "again"))
                leaktrace = self.leaktrace(target, "--go-probes", "--top", 100, "--record",
                                           recording, kinds="goroutine", interval=0.3)
                before, made, stay = leaktrace.wait_report()["totals"], 0, 0
                for _ in range(10):
                    target.say("5000")
                    told = golang.counts(target.line())
                    made, stay = made + told[0], stay + told[1]
                    leaktrace.wait_report()
                report = leaktrace.stop()
                self.assert_no_loss(report)
                harness.run(harness.LEAKTRACE, "--json", again, "replay", recording)
                self.assertEqual(json.loads(again.read_text().splitlines()[-1])["totals"],
                                 report["totals"])
                after = report["totals"]
                self.assertEqual(after["acquired_count"] - before["acquired_count"], made)
                self.assertEqual(after["live_count"] - before["live_count"], stay)
                self.assertEqual(after["released_count"] - before["released_count"], made - stay)
                made_by = {tuple(f.get("func", f.get("mark")) for f in site["frames"]): site
                           for site in report["sites"]}
                chain = ("started", "created by", "main.parent", "created by", "main.maker",
                         "created by", "main.main")
                chains = [stack for stack in made_by
                          if tuple(f for f in stack if not f.startswith("runtime.")) == chain]
                self.assertEqual(len(chains), 1, made_by.keys())
                self.assertGreater(made_by[chains[0]]["acquired_count"], made // 2 - made // 20)

    def test_creations_before_the_end_count(self):
        """Those that no walk could meet, for the process is no more."""
        program = golang.build(golang.OWN, "births") / "births"
        target = self.own(golang.start(program, GOGC="off"))  # it would make some of its own
        leaktrace = self.leaktrace(target, "--go-probes", kinds="goroutine", interval=1000)
        target.say("5000")
        made = golang.counts(target.line())[0]
        target.popen.stdin.close()
        self.assertEqual(target.wait(), 0, target.stderr)
        report = leaktrace.final()
        self.assert_no_loss(report)
        self.assertEqual(report["totals"]["acquired_count"], 1 + made)

    def attached(self, target, site, before):
        """Probed: the call, or the NOP before it, of which the kernel makes a call."""
        leaktrace = self.leaktrace(target, "--go-probes", kinds="goroutine")
        leaktrace.wait_report()
        nop, call = site.code()
        at_nop = nop != before[0]
        self.assertEqual(call == before[1], at_nop)
        if before[0] != golang.LONG_NOP:
            self.assertFalse(at_nop)
        elif golang.NOPS_ARE_CALLED:
            self.assertTrue(at_nop)
        if at_nop:
            self.assertEqual(nop[:1], CALL if golang.has_trampoline(target.pid) else BREAKPOINT)
        return leaktrace

    def test_one_instruction(self):
        """Of the program's code a probe changes one instruction, for as long as leaktrace is there."""
        for version, program in itertools.product(golang.versions(), ("churn", "cgo")):
            with self.subTest(f"{program} of {version}"):
                target = self.own(golang.start(golang.build(version, program) / program))
                site = golang.CreateSite(target.pid)
                before = site.code()
                self.attached(target, site, before).stop()
                if golang.NOPS_ARE_CALLED and program == "churn":  # it makes goroutines
                    self.assertEqual(golang.has_trampoline(target.pid), before[0] == golang.LONG_NOP)
                self.assertEqual(site.code(), before)

    def test_one_instruction_after_a_kill(self):
        target = self.own(golang.start(golang.build(golang.OWN, "churn") / "churn"))
        site = golang.CreateSite(target.pid)
        before = site.code()
        self.attached(target, site, before).signal(signal.SIGKILL)
        harness.wait_until(lambda: site.code() == before, "the code as it was")
        self.assertTrue(target.alive(), target.stderr)
