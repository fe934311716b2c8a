#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole tool on the kernel this runs on: smoke.py CLASS...  run.sh runs it inside the machines,
where computing is slow and waiting costs nothing; it works outside as well."""

import ctypes
import json
import platform
import signal
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e")]
sys.dont_write_bytecode = True

import golang  # noqa: E402
import harness  # noqa: E402
import listings  # noqa: E402
import run  # noqa: E402
import test_cycles  # noqa: E402
import test_descriptors  # noqa: E402
import test_exact  # noqa: E402
import test_thread_kinds  # noqa: E402
from harness import LEAKTRACE, leaking, marked_line, sites_of, top_function  # noqa: E402

LEAK_ALL = (50, 52)  # a second, seconds: a verdict needs 48 s (docs/VERDICT.md)
STEADY = ("victim", 1, 1000)
DESCRIPTOR_CALLS = 4000
KERNEL = tuple(map(int, platform.release().split(".")[:2]))
PREEMPTS_AT_CALLS = (7, 2)  # docs/ARCHITECTURE.md, "Descriptors and threads"
CYCLES = 3  # attach_cycles judges its own size only from 22 on
EXIT_PERMISSION = 4
DEEP_BLOCKS = 50
DEEP_CHAIN = ["deep_leak", *(f"level_{n:02}" for n in range(12, 0, -1)), "main"]
PR_CAPBSET_DROP = 24  # <linux/prctl.h>
LAST_CAP = int(Path("/proc/sys/kernel/cap_last_cap").read_text())


class Smoke(harness.TestCase):
    def test_a_leak_is_named_and_its_healthy_twin_is_not(self):
        target = self.target("leak_all", *LEAK_ALL)
        leaktrace = self.leaktrace(target, "--top", 100)
        truth = target.go().truth()
        final = leaktrace.stop()
        self.assert_no_loss(final)
        self.assert_truth(final, truth)
        self.assertEqual([(top_function(s), s["verdict"]) for s in leaking(final)],
                         [("leak_everything", "leaking")])
        frame = leaking(final)[0]["frames"][0]
        self.assertEqual((Path(frame["file"]).name, frame["line"]),
                         ("leak_all.c", marked_line("leak_all.c")))
        self.assertTrue(sites_of(final, "healthy_turnover"))
        self.assertIn("leak_everything", leaktrace.stdout)
        for report in leaktrace.reports():
            self.assertLessEqual({top_function(s) for s in leaking(report)}, {"leak_everything"})
        self.assertEqual(target.quit(), 0)

    compare = test_exact.Exactness.compare

    def test_counts_are_exact(self):
        self.compare("family", 3, 2500, 1)

    def test_children_are_followed(self):
        target = self.target("forks", 40, 20000)
        leaktrace = self.leaktrace(target, "--follow", "--kinds", "heap", "--top", 100)
        truth = target.go().truth()
        leaktrace.signal(signal.SIGINT)
        self.assertEqual(leaktrace.wait(), 0, leaktrace.stderr)
        total = [d for d in map(json.loads, leaktrace.json_path.read_text().splitlines())
                 if d["type"] == "total"][-1]
        for name in ("acquired_count", "released_count"):
            self.assertEqual(total["ended"][name],
                             truth["child_site"][name] + truth["image_site"][name])
        self.assertEqual(target.quit(), 0)

    def test_descriptors_of_threads_at_work_are_exact(self):
        target = self.target("fd_torture", "own", DESCRIPTOR_CALLS, 1)
        process = test_descriptors.Process(self, target, self.leaktrace(
            target, *test_descriptors.OPTIONS))
        told = process.tell("go")
        self.assertGreater(sum(told.acquired().values()), DESCRIPTOR_CALLS // 4)
        report = process.in_total("go")
        if report["loss"]["call_missed"] and KERNEL >= PREEMPTS_AT_CALLS:
            # What was made while another thread stood in the same program comes by the list alone.
            self.assertGreater(report["notes"]["listing_corrected"], 0)
        else:
            test_descriptors.Session.assert_exact(self, report)
            self.assertEqual(listings.differences(report, told.truth, told.lines,
                                                  test_descriptors.SOURCES), [])
        self.assertEqual(target.quit(), 0)

    def test_threads_are_exact_and_their_stacks_those_of_who_made_them(self):
        process = test_thread_kinds.Process(self, *self.pair("thread_kinds"))
        for step in ("never_joined", "joined"):
            report = process.exactly(step)
        kept = test_thread_kinds.stacks(report)["create_never_joined"]
        self.assertEqual(kept[0], test_thread_kinds.NEVER_JOINED)
        self.assertEqual(process.target.quit(), 0)

    def pair(self, name):
        target = self.target(name)
        return target, self.leaktrace(target, "--top", 1000, kinds=None)

    def test_a_whole_chain_without_frame_pointers(self):
        target = self.target("deep", DEEP_BLOCKS)
        leaktrace = self.leaktrace(target, "--top", 100)
        target.go().truth()
        sites = sites_of(leaktrace.stop(), "deep_leak")
        chains = [[frame.get("func") for frame in s["frames"]][:len(DEEP_CHAIN)] for s in sites]
        self.assertEqual(chains, [DEEP_CHAIN])
        self.assertEqual(sites[0]["live_count"], DEEP_BLOCKS)

    def test_a_go_program_is_read_and_probed(self):
        target = self.own(golang.start(harness.BUILD / "go" / "leaks", "chan-receive", "leak"))
        site = golang.CreateSite(target.pid)
        code = site.code()
        leaktrace = self.leaktrace(target, "--go-probes", "--top", 100, kinds=None)

        made = ["created by", "main.chanReceive.func1", "main.main", "runtime.main",
                "runtime.goexit"]

        def words(site):
            return [frame.get("mark") or frame.get("func") for frame in site["frames"]]

        def blocked(report):
            return [w for w in map(words, report["sites"]) if w[0] == "chan receive" and
                    "main.receive" in w and w[-len(made):] == made]
        report = leaktrace.wait_report(blocked)
        self.assert_no_loss(report, "RELEASE", "ACQUIRE")
        self.assertNotEqual(site.code(), code)
        leaktrace.stop()
        self.assertEqual(site.code(), code)
        self.assertTrue(target.alive(), target.stderr)

    def test_detaching_leaves_the_target_as_it_was(self):
        """Both ways to attach; the program checks the code at every probe, cycle by cycle."""
        target = self.target(*STEADY).go()
        before = test_cycles.code_of(target.pid)
        for way in ([], ["perf"]):
            with self.subTest(way=way):
                result = harness.run(harness.BUILD / "e2e" / "attach_cycles", str(target.pid),
                                     str(CYCLES), *way)
                self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(test_cycles.code_of(target.pid), before)
        self.assert_works(target)
        self.assertEqual(target.quit(), 0)


def drop_capabilities():
    """What most containers do to root; takes effect with the exec that follows."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(LAST_CAP + 1):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


class Crippled(harness.TestCase):
    """What is missing is named, with what to do, and the target is left alone."""

    def assert_says(self, words, before=(), **options):
        target = self.target(*STEADY).go()
        result = harness.run(*before, LEAKTRACE, "-p", str(target.pid), "1", "1", **options)
        self.assertEqual(result.returncode, EXIT_PERMISSION, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, r"\Aleaktrace: [^\n]+\n\Z")
        for word in words:
            self.assertIn(word, result.stderr)
        self.assert_works(target)

    @staticmethod
    def hiding(directory):
        """A command runs without this directory of sysfs, as on kernels that do not have it."""
        return ["unshare", "-m", "sh", "-c", f"mount -t tmpfs none {directory} && exec \"$@\"", "sh"]

    def test_no_btf(self):
        self.assert_says(["CONFIG_DEBUG_INFO_BTF"], self.hiding("/sys/kernel/btf"))

    def test_not_root(self):
        self.assert_says(["run as root"], harness.NOBODY)

    def test_root_of_a_container(self):
        self.assert_says(["CAP_SYS_ADMIN", "--privileged"], preexec_fn=drop_capabilities)


class Lockdown(Crippled):
    """On a kernel booted with lockdown=confidentiality this is what is said first."""

    test_no_btf = test_not_root = test_root_of_a_container = None

    def test_bpf_may_not_read_the_kernel(self):
        self.assert_says(["lockdown=confidentiality", "lockdown=integrity"])


def main():
    classes = [getattr(sys.modules[__name__], name) for name in sys.argv[1:]]
    suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromTestCase, classes))
    result = run.Result()
    suite.run(result)
    print(f"{result.passed} passed, {result.failed} failed")
    return 0 if result.passed and not result.failed else 1


if __name__ == "__main__":
    sys.exit(main())
