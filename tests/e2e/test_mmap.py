# SPDX-License-Identifier: GPL-2.0-or-later
"""Mappings: what leaktrace holds is what /proc/PID/maps has gained, byte for byte, at every step."""

import os
from pathlib import Path

import harness
from harness import leaking, marked_line

KERNELS_OWN = ("[stack]", "[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]", "[uprobes]")
CALLS = 14  # 8 tracepoints at the end of system calls, 6 at their beginning
STEP_S = 20  # for a report that agrees: a limit, not an expectation


def mappings(pid):
    """All that the process maps, in order: [(start, end, without any access)]."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            if len(fields) < 6 or fields[5].strip() not in KERNELS_OWN:
                start, end = (int(x, 16) for x in fields[0].split("-"))
                found.append((start, end, fields[1].startswith("---")))
    return found


def split(now, before):
    """What of the mappings is where some were before, and what is not."""
    kept, gained = [], []
    for start, end, none in now:
        for low, high, _ in before:
            if low < end and high > start:
                if low > start:
                    gained.append((start, low, none))
                kept.append((max(low, start), min(high, end), none))
                start = max(start, min(high, end))
        if start < end:
            gained.append((start, end, none))
    return kept, gained


def sizes(ranges):
    """Bytes: (without access, with)."""
    return tuple(sum(end - start for start, end, none in ranges if none is wanted)
                 for wanted in (True, False))


def traced_calls(pid):
    """How many perf events a leaktrace has on system calls: each is an anonymous file of perf's."""
    return sum(os.readlink(fd) == "anon_inode:[perf_event]"
               for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink())


def mapped(report):
    return report["memory"]["mapped"]


def in_function(report, function):
    """Sites of mappings below this function."""
    return [s for s in report["sites"] if s["kind"] == "mmap"
            and any(f.get("func") == function for f in s["frames"])]


class Agreement(harness.TestCase):
    PATIENT = True

    def steps(self, *options):
        """Runs all steps: {name: (sizes in maps, mapped by class), ...} and the final report."""
        target = self.target("mmaps", "steps")
        before = mappings(target.pid)
        leaktrace = self.leaktrace(target, "--top", 1000, *options)
        self.assertGreaterEqual(traced_calls(leaktrace.pid), CALLS)
        done = {}
        while True:
            target.say("step")
            line = target.line()
            if line == "end":
                break
            # What is unmapped of the old is no longer that: its addresses are used again.
            before, gained = split(mappings(target.pid), before)
            none, usable = sizes(gained)

            def agrees(report):
                has = mapped(report).values()
                return None not in has and sum(has) == none + usable
            try:
                report = leaktrace.wait_report(agrees, STEP_S)
            except AssertionError:
                report = leaktrace.reports()[-1]
                self.fail(f"{line}: maps gained {none} + {usable}, leaktrace has "
                          f"{mapped(report)}; loss: {report['loss']}")
            done[line.removeprefix("done ")] = ((none, usable), mapped(report))
        report = leaktrace.stop()
        self.assertEqual(target.quit(), 0)
        return done, report

    def test_every_step_agrees_with_the_kernel(self):
        done, report = self.steps()
        self.assertEqual(len(done), 18)
        self.assert_no_loss(report, "RELEASE", "ACQUIRE")
        previous = ((0, 0), dict.fromkeys(mapped(report), 0))
        for name, now in done.items():
            none, usable = (a - b for a, b in zip(now[0], previous[0]))
            grown = {key: now[1][key] - previous[1][key] for key in now[1]}
            previous = now
            with self.subTest(name):
                if name == "arenas":
                    self.assertEqual((grown["plain"], grown["reserved"]), (0, 0))
                    # Four threads' arenas of 64 MiB each: what was cut off is gone.
                    self.assertEqual(grown["allocator"], 4 * 64 << 20)
                elif name == "threads":
                    self.assertGreaterEqual(grown["stack"], 8 * 2 << 20)
                    self.assertEqual(grown["stack"] % 8, 0)
                    # Guard pages are the stacks'.
                    self.assertEqual(grown["plain"] + grown["reserved"] + grown["stack"]
                                     + grown["allocator"], none + usable)
                else:
                    self.assertEqual(grown, {"plain": usable, "reserved": none, "stack": 0,
                                             "allocator": 0})
        live = sum(s["live_bytes"] for s in report["sites"] if s["kind"] == "mmap")
        self.assertEqual(live, mapped(report)["plain"])
        for site in report["sites"]:
            self.assertEqual(site["acquired_count"] - site["released_count"], site["live_count"])
        # The malloc that made an arena is not lost in it.
        little = [s for s in report["sites"] if s["kind"] == "heap"
                  and harness.top_function(s) == "little"]
        self.assertEqual(sum(s["acquired_count"] for s in little), 4)
        self.assertEqual(sum(s["live_bytes"] for s in little), 400)

    def test_only_the_heap_is_not_slowed(self):
        target = self.target("mmaps", "steps")
        leaktrace = self.leaktrace(target, "--kinds", "heap")
        self.assertEqual(traced_calls(leaktrace.pid), os.cpu_count())  # news of executable mappings
        target.say("step")
        target.line()
        report = leaktrace.stop()
        self.assertEqual([s for s in report["sites"] if s["kind"] == "mmap"], [])

    def test_a_recording_says_the_same(self):
        recording = self.directory / "steps.ltrec"
        done, report = self.steps("--record", recording)
        replayed = harness.run(harness.LEAKTRACE, "replay", "--json", "-", "-q", recording)
        self.assertEqual(replayed.returncode, 0, replayed.stderr)
        last = harness.json.loads(replayed.stdout.splitlines()[-1])
        self.assertEqual(mapped(last), mapped(report))
        self.assertEqual(last["sites"], report["sites"][:len(last["sites"])])
        self.assertTrue(done)


class Leaks(harness.TestCase):
    PATIENT = True

    def test_a_leaked_mapping_is_named_and_nothing_else(self):
        target = self.target("mmaps", "leak", 75)
        leaktrace = self.leaktrace(target, "--top", 1000)
        self.assertEqual(target.go().line(150), "end")
        report = leaktrace.stop()
        self.assertEqual(target.quit(), 0)
        self.assert_no_loss(report, "RELEASE", "ACQUIRE")
        accused = leaking(report)
        self.assertEqual(len(accused), 1, [harness.top_function(s) for s in accused])
        frame = next(f for f in accused[0]["frames"] if f.get("func") == "leak_mapping")
        self.assertEqual(frame["line"], marked_line("mmaps.c"))
        self.assertEqual(accused[0]["kind"], "mmap")
        self.assertEqual(accused[0]["live_bytes"], 75 * 25 * 65536)
        healthy, = in_function(report, "healthy_mapping")
        self.assertEqual(healthy["live_count"], 10)
        self.assertEqual(in_function(report, "come_and_go"), [])
        self.assertGreater(mapped(report)["stack"], 0)
        self.assertGreater(mapped(report)["allocator"], 0)
