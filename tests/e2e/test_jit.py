# SPDX-License-Identifier: GPL-2.0-or-later
"""Code that is made at run time has the names that its runtime writes to /tmp/perf-PID.map, if that
file can be trusted; else it has none."""

import os
import shutil
from pathlib import Path

import harness
from harness import NOBODY
from test_stacks import Element, Frame, fits, is_complete, size_of

NODE = "/usr/bin/node"
NOBODY_UID = 65534
OTHER_UID = 1


class JitCase(harness.TestCase):
    def own_map(self, target):
        """Where it writes the names of its code; it is removed at the end."""
        path = Path(f"/tmp/perf-{target.pid}.map")
        self.addCleanup(path.unlink, missing_ok=True)
        return path

    def tell(self, target, text):
        target.say(text)
        self.assertEqual(target.line(), "done")

    def settle(self, leaktrace):
        """Two reports: the names of the second were asked after this call."""
        leaktrace.wait_report()
        return leaktrace.wait_report()

    def sites_by_size(self, report, size):
        return [s for s in report["sites"] if s["acquired_count"] and size_of(s) == size]

    def assert_in_anonymous_code(self, target, addresses):
        executable = [tuple(int(n, 16) for n in fields[0].split("-"))
                      for fields in map(str.split,
                                        Path(f"/proc/{target.pid}/maps").read_text().splitlines())
                      if "x" in fields[1] and fields[4] == "0"]
        for address in addresses:
            self.assertTrue(any(start <= address < end for start, end in executable),
                            f"{address:#x} not in {executable}")


class WrittenByJcmd(JitCase):
    """The map of a JVM: written when somebody asks for it, and anew each time."""

    LEAK = "int App.leak(int, java.lang.String[], java.util.List)"
    MOVED = "void App$$Lambda.0x00007f41c4000c38+leakMore(int, java.lang.Object)"
    OUTER = "void App.serve()"  # tests/workloads/perfmap.c
    COUNT, SIZE = 100, 777
    ENTRY = ["leak", "obey", "main", *2 * [Element("libc", lambda f: f.is_in("libc.so"))],
             "_start"]

    def start(self):
        target = self.target("perfmap")
        return target, self.own_map(target), self.leaktrace(target, "--top", 1000)

    def names_of(self, report):
        """What each site's generated code is called: [(inner, outer)]; the rest is checked."""
        names = []
        for site in self.sites_by_size(report, self.SIZE):
            frames = Frame.of(site)
            self.assertTrue(is_complete(site), site["stack_end"])
            self.assertTrue(fits(frames[2:], self.ENTRY, True), list(map(str, frames)))
            self.assertEqual(site["acquired_count"], self.COUNT)
            for frame in site["frames"][:2]:
                self.assertEqual([frame[key] for key in
                                  ("file", "line", "module", "build_id", "inlined")],
                                 [None, None, None, None, False])
            names.append((frames[0].function, frames[1].function))
        return names

    def wait_names(self, leaktrace, names):
        return leaktrace.wait_report(lambda report: self.names_of(report) == names)

    def stop(self, leaktrace, target, names):
        """The final report has these names, too."""
        report = leaktrace.stop()
        self.assertCountEqual(self.names_of(report), names)
        self.assertEqual(target.quit(), 0)

    def test_a_map_that_is_there_names_the_code(self):
        target, _, leaktrace = self.start()
        self.tell(target, f"map {self.LEAK}")
        self.tell(target, "leak")
        self.wait_names(leaktrace, [(self.LEAK, self.OUTER)])
        self.stop(leaktrace, target, [(self.LEAK, self.OUTER)])

    def test_a_map_that_comes_later_names_what_had_no_name(self):
        target, _, leaktrace = self.start()
        self.tell(target, "leak")
        report = self.wait_names(leaktrace, [(None, None)])
        site, = self.sites_by_size(report, self.SIZE)
        self.assert_in_anonymous_code(target, [f["offset"] for f in site["frames"][:2]])
        self.tell(target, f"map {self.LEAK}")
        self.wait_names(leaktrace, [(self.LEAK, self.OUTER)])
        self.stop(leaktrace, target, [(self.LEAK, self.OUTER)])

    def test_a_map_written_anew_names_the_code_that_moved(self):
        """What had a name before keeps it, though the new map does not know it any more."""
        target, path, leaktrace = self.start()
        self.tell(target, f"map {self.LEAK}")
        self.tell(target, "leak")
        self.wait_names(leaktrace, [(self.LEAK, self.OUTER)])
        before = path.stat().st_ino, path.read_text()
        self.tell(target, "move")
        self.settle(leaktrace)  # the new code is known
        self.tell(target, "leak")
        both = [(self.LEAK, self.OUTER), (None, None)]
        leaktrace.wait_report(lambda report: sorted(self.names_of(report), key=str) ==
                              sorted(both, key=str))
        self.tell(target, f"map {self.MOVED}")
        self.assertEqual(path.stat().st_ino, before[0])
        self.assertNotIn(self.LEAK, path.read_text())
        both = [(self.LEAK, self.OUTER), (self.MOVED, self.OUTER)]
        leaktrace.wait_report(lambda report: sorted(self.names_of(report)) == sorted(both))
        self.stop(leaktrace, target, both)

    def assert_distrusted(self, spoil, amend):
        """No names while the map is spoilt; as soon as it is amended, there they are."""
        target, path, leaktrace = self.start()
        self.tell(target, f"map {self.LEAK}")
        spoil(path)
        self.tell(target, "leak")
        self.assertEqual(self.names_of(self.settle(leaktrace)), [(None, None)])
        amend(path)
        self.wait_names(leaktrace, [(self.LEAK, self.OUTER)])
        self.stop(leaktrace, target, [(self.LEAK, self.OUTER)])

    def test_a_map_of_another_user_is_not_believed(self):
        self.assert_distrusted(lambda path: os.chown(path, NOBODY_UID, NOBODY_UID),
                               lambda path: os.chown(path, 0, 0))

    def test_a_map_from_before_the_target_is_not_believed(self):
        self.assert_distrusted(lambda path: os.utime(path, (1, 1)), os.utime)

    def test_a_link_is_not_followed(self):
        elsewhere = self.directory / "elsewhere"

        def spoil(path):
            shutil.copy(path, elsewhere)
            path.unlink()
            path.symlink_to(elsewhere)

        def amend(path):
            path.unlink()
            shutil.copy(elsewhere, path)
        self.assert_distrusted(spoil, amend)

    def test_a_user_s_process_is_named_by_its_own_map_or_root_s_alone(self):
        program = self.directory / "perfmap"
        shutil.copy(harness.WORKLOADS / "perfmap", program)
        target = self.target(None, *NOBODY[1:], program, path=shutil.which(NOBODY[0]))
        path = self.own_map(target)
        self.tell(target, f"map {self.LEAK}")
        self.assertEqual(path.stat().st_uid, NOBODY_UID)
        named, nameless = (self.LEAK, self.OUTER), (None, None)
        for owner, names in ((OTHER_UID, nameless), (NOBODY_UID, named), (0, named)):
            with self.subTest(owner=owner):
                os.chown(path, owner, owner)
                leaktrace = self.leaktrace(target, "--top", 1000)
                self.tell(target, "leak")
                self.assertEqual(self.names_of(leaktrace.stop()), [names])


SCRIPT = """'use strict';
const kept = [];
function leakNative(rounds) {
  for (let i = 0; i < rounds; i++)
    kept.push(new ArrayBuffer(SIZE));  // calloc, behind its back
}

function serve(rounds) {
  leakNative(rounds);
}

if (process.execArgv.includes('--allow-natives-syntax'))
  new Function('leak', 'serve', `
    %NeverOptimizeFunction(serve);  // else leak would become a part of it
    %PrepareFunctionForOptimization(leak);
    leak(1);
    leak(1);
    %OptimizeFunctionOnNextCall(leak);
    leak(1);`)(leakNative, serve);
console.log(`ready ${process.pid}`);
require('readline').createInterface({ input: process.stdin }).on('line', function heard(word) {
  if (word === 'quit')
    process.exit(0);
  serve(COUNT);
  console.log('done');
});
"""


class Node(JitCase):
    SIZE, COUNT, TIMES = 20010, 100, 3
    FUNCTIONS = ["leakNative", "serve", "heard"]  # leaf first
    ALL_FRAMES = "--interpreted-frames-native-stack"
    # How V8 marks what it has compiled a function with, and options that make it do so.
    TIERS = {
        "~": ["--no-opt", "--no-sparkplug"],
        "^": ["--no-opt", "--always-sparkplug"],
        "*": ["--allow-natives-syntax"],
    }

    def run_script(self, *options):
        """(the sites of the leak, the map's text or None)"""
        script = self.directory / "leak.js"
        script.write_text(SCRIPT.replace("SIZE", str(self.SIZE)).replace("COUNT", str(self.COUNT)))
        log = ["--no-logfile-per-isolate", f"--logfile={self.directory}/v8.log"]
        target = self.target(None, *options, *log, script, path=NODE)
        path = self.own_map(target)
        leaktrace = self.leaktrace(target, "--top", 1000)
        for _ in range(self.TIMES):
            self.tell(target, "leak")
        report = leaktrace.stop()
        text = path.read_text() if path.exists() else None
        target.say("quit")
        self.assertEqual(target.wait(), 0, target.stderr)
        sites = self.sites_by_size(report, self.SIZE)
        self.assertEqual(sum(s["acquired_count"] for s in sites), self.TIMES * self.COUNT)
        for site in sites:
            self.assert_whole(site)
        return sites, text

    def assert_whole(self, site):
        """To the program's entry, whatever that is called in a stripped node."""
        frames = Frame.of(site)
        self.assertTrue(is_complete(site), site["stack_end"])
        self.assertEqual(frames[-1].module, os.path.realpath(NODE))
        self.assertTrue(frames[-2].is_in("libc.so") and frames[-3].is_in("libc.so"),
                        list(map(str, frames[-3:])))

    def line_of(self, function):
        return next(number for number, line in enumerate(SCRIPT.splitlines(), 1)
                    if f"function {function}(" in line)

    def assert_tier(self, text, frame, tier):
        """The last line of the map that holds the address, read independently of leaktrace."""
        names = [name for start, size, name in (line.split(" ", 2) for line in text.splitlines())
                 if int(start, 16) <= frame["offset"] < int(start, 16) + int(size, 16)]
        self.assertRegex(names[-1] if names else "", rf"^\w+:\{tier}{frame['func']} ")

    def test_its_functions_have_names_files_and_lines(self):
        for tier, options in self.TIERS.items():
            with self.subTest(tier=tier):
                sites, text = self.run_script("--perf-basic-prof", self.ALL_FRAMES, *options)
                for site in sites:
                    own = [f for f in site["frames"] if Path(f["file"] or "").name == "leak.js"]
                    self.assertEqual(
                        [(f["func"], f["line"], f["file"]) for f in own],
                        [(name, self.line_of(name), str(self.directory / "leak.js"))
                         for name in self.FUNCTIONS])
                    self.assert_tier(text, own[0], tier)
                    self.assertEqual([f for f in site["frames"]
                                      if not f["module"] and not f["func"]], [])

    def test_without_a_map_nothing_has_a_wrong_name(self):
        sites, text = self.run_script(self.ALL_FRAMES, *self.TIERS["^"])
        self.assertIsNone(text)
        for site in sites:
            generated = [f for f in site["frames"] if not f["module"]]
            self.assertGreaterEqual(len(generated), len(self.FUNCTIONS))
            for frame in generated:
                self.assertEqual([frame[key] for key in ("func", "file", "line", "inlined")],
                                 [None, None, None, False])
            self.assertEqual([f for f in site["frames"] if f["func"] in self.FUNCTIONS], [])
