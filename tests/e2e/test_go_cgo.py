# SPDX-License-Identifier: GPL-2.0-or-later
"""What C code of a Go program allocates has the goroutine's stack behind C's, and what made the goroutine."""

import golang
from harness import TestCase

SOURCE = golang.SOURCES / "cgo.go"
WANTED = 5  # blocks of each, of ten a second

# By the size of their blocks: the program's functions from malloc on outwards, and the marked line.
STACKS = {
    1000: (["main.allocInC", "main.repeat"], "direct"),
    3000: (["main.leaktraceCalledBack", "main.callBack", "main.repeat"], "called"),
}


def line_of(leak):
    lines = SOURCE.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"// LEAK {leak}"))


def heap(report):
    """The program's sites by the size of their blocks; the runtime's threads allocate in C as well."""
    sites = {site["acquired_bytes"] // site["acquired_count"]: site for site in report["sites"]
             if site["kind"] == "heap" and site["acquired_count"]}
    return {size: site for size, site in sites.items() if size in STACKS}


def seen(report):
    sites = heap(report)
    return all(size in sites and sites[size]["acquired_count"] >= WANTED for size in STACKS)


class Forks(TestCase):
    """The child has the probe's instruction, but not what the kernel put there for it: bpf/optimized.h."""
    PATIENT = True

    def go_on(self, name):
        for version in golang.versions():
            with self.subTest(version):
                target = self.own(golang.start(golang.build(version, name) / name))
                leaktrace = self.leaktrace(target, "--go-probes", "--top", 100, kinds="goroutine")
                for _ in range(3):
                    target.say("fork")
                    self.assertEqual(golang.counts(target.line()), [0])
                self.assertFalse(golang.has_trampoline(target.pid))
                made = [site["acquired_count"] for site in leaktrace.stop()["sites"]]
                self.assertGreaterEqual(sum(made), 300)
                self.assertTrue(target.alive(), target.stderr)

    def test_a_child_of_c_code_goes_on_in_go(self):
        self.go_on("forks-c")

    def test_a_child_of_go_goes_on(self):
        self.go_on("forks-raw")


class Cgo(TestCase):
    def trace(self, version, *arguments):
        target = self.own(golang.start(golang.build(version, "cgo") / "cgo", *arguments))
        leaktrace = self.leaktrace(target, "--kinds", "heap,goroutine", "--top", 100)
        leaktrace.wait_report(seen)
        report = leaktrace.stop()
        self.assert_no_loss(report)
        self.assertTrue(target.alive(), target.stderr)
        sites = heap(report)
        self.assertEqual(set(sites), set(STACKS))
        return sites

    def check_stack(self, site, expected, leak):
        self.assertIsNone(site["stack_end"])
        names = [frame.get("func", frame.get("mark")) for frame in site["frames"]]
        made = names.index("created by")
        self.assertTrue(names[0].startswith("_cgo_"), names)
        self.assertEqual(names[1:3], ["runtime.asmcgocall", "runtime.cgocall"])
        self.assertEqual([name for name in names[:made] if name.startswith("main.")
                          and "_cgo_" not in name and "_Cfunc_" not in name], expected, names)
        self.assertEqual(names[made - 1], "runtime.goexit")
        self.assertEqual(names[made + 1:], ["main.main"])
        own = next(f for f in site["frames"] if f.get("func") == expected[0])
        self.assertEqual((own["file"].rpartition("/")[2], own["line"]), (SOURCE.name, line_of(leak)))

    def test_stacks_are_whole(self):
        for version in golang.versions():
            with self.subTest(version):
                for size, site in self.trace(version, "leak").items():
                    self.check_stack(site, *STACKS[size])
                    self.assertEqual(site["live_count"], site["acquired_count"])

    def test_what_is_freed_is_not_kept(self):
        for version in golang.versions():
            with self.subTest(version):
                for size, site in self.trace(version, "clean").items():
                    self.check_stack(site, *STACKS[size])
                    self.assertLessEqual(site["live_count"], 1)
