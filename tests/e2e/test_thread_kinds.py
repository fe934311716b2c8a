# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads from creation to exit, their stacks, and others who use or copy their descriptors."""

import os

import harness
from listings import Steps, descriptors, differences, own_frame, summed, threads, wrong_totals

SOURCE = "thread_kinds.c"
SOURCES = (SOURCE,)
NEVER_JOINED, CHURN = 20, 20000
STACKS_KEPT = 40 * 1024 // 256  # by glibc, of joined threads: 40 MiB (nptl/nptl-stack.c)
AT_ONCE = 110                   # threads that run at the same time, at most
KEPT = ("create_never_joined", "create_running", "create_old")


def lines():
    """Where each function of the workload makes something: {function: line}."""
    found = {}
    for number, line in enumerate((harness.SOURCES / SOURCE).read_text().splitlines(), 1):
        for macro in ("CREATES(", "OPENS("):
            if line.startswith(macro):
                found[line[len(macro):].split(",")[0].rstrip(")")] = number
    return found


class Process(Steps):
    def __init__(self, test, target, leaktrace):
        super().__init__(test, target, leaktrace)
        self.before = self.listed()
        self.lines = lines()

    def listed(self):
        return {**descriptors(self.pid), **threads(self.pid)}

    def do(self, name):
        """What was acquired and released since the start: {(function, kind): (acquired, released)}."""
        said = self.step(name)["truth"]
        return {(function, "thread" if function.startswith("create_") else "fd"): tuple(counts)
                for function, counts in said.items()}

    def exactly(self, name, ended_old=0):
        """Does a step, after which each function has what the workload says, and the process what /proc says."""
        truth, listed = self.do(name), self.listed()
        sums = summed(truth)
        for kind, old in (("thread", ended_old), ("fd", 0)):
            self.test.assertEqual(self.before[kind] + sums[kind] - old, listed[kind],
                                  f"{name}: the workload itself is wrong")

        def wrong(report):
            return wrong_totals(report, listed) + differences(report, truth, self.lines, SOURCES)
        return self.agree(name, wrong)

    def in_total(self, what, listed=None):
        listed = listed or self.listed()
        return self.agree(what, lambda r: wrong_totals(r, listed))


class Session(harness.TestCase):
    PATIENT = True

    def started(self, *options):
        target = self.target("thread_kinds")
        leaktrace = self.leaktrace(target, "--top", "1000", *options, interval=0.2, kinds=None)
        return Process(self, target, leaktrace)

    def assert_exact(self, report):
        self.assert_no_loss(report, "RELEASE", "ACQUIRE", "MAPPING")
        self.assertEqual(report["notes"]["listing_corrected"], 0)


def stacks(report):
    """Live stacks of threads by the function that made them: {function: [count, bytes]}."""
    found = {}
    for site in report["sites"]:
        frame = own_frame(site, SOURCES) if site["kind"] == "stack" else None
        if frame:
            sums = found.setdefault(frame["func"], [0, 0])
            sums[0] += site["live_count"]
            sums[1] += site["live_bytes"]
    return found


def wrong_names(report):
    """Those that run have a start function and a name; those from before a name, and an age."""
    found = {}
    for site in report["sites"]:
        if site["kind"] == "thread" and site["live_count"]:
            frame = own_frame(site, SOURCES)
            found[frame["func"] if frame else site["stack_end"]] = [
                (g["type"], g["relation"], g["what"], g["count"]) for g in site["groups"]]
            if not frame and site["oldest_age_s"] < report["elapsed_s"]:
                return [f"age {site['oldest_age_s']} s, but from before the attach"]
    before = "from before the attach, or inherited"
    wanted = {"create_running": [("thread", "running", "start_running (running)", 12)],
              before: [("thread", None, "old one", 3), ("thread", None, None, 1)]}
    return [f"{name}: {found.get(name)}, not {what}" for name, what in wanted.items()
            if found.get(name) != what]


class Threads(Session):
    def test_from_creation_to_exit(self):
        process = self.started()
        report = process.exactly("never_joined")
        kept = stacks(report)["create_never_joined"]
        self.assertEqual(kept[0], NEVER_JOINED)
        self.assertGreaterEqual(kept[1], NEVER_JOINED * 256 * 1024)
        found = stacks(process.exactly("alternating"))
        kept = found["create_never_joined"]
        self.assertEqual(kept[0], 2 * NEVER_JOINED)
        self.assertEqual(found.get("create_joined", [0])[0], 0)
        for name in ("joined", "detached", "running", "other_ways"):
            process.exactly(name)
        process.agree("what they are", wrong_names)
        after = []
        for _ in range(2):
            report = process.exactly("churn")
            after.append({name: count for name, (count, _) in stacks(report).items()})
            self.assertEqual(stacks(report)["create_never_joined"], kept)
        others = [sum(n for name, n in found.items() if name not in KEPT) for found in after]
        self.assertLessEqual(max(others), STACKS_KEPT + AT_ONCE, after)
        process.exactly("end_running")
        process.exactly("end_old", ended_old=3)
        report = process.leaktrace.stop()
        self.assert_exact(report)
        ended = [s for s in report["sites"] if s["kind"] == "thread"
                 and (own_frame(s, SOURCES) or {}).get("func", "").startswith("create_churn_")]
        self.assertEqual(sum(s["acquired_count"] for s in ended), 2 * CHURN)
        self.assertEqual(sum(s["live_count"] for s in ended), 0)
        self.assertEqual(stacks(report)["create_never_joined"], kept)
        self.assertEqual(process.target.quit(), 0)

    def test_the_first_one_ends_and_the_others_go_on(self):
        process = self.started("--kinds", "thread,socket,fd")
        process.exactly("hold")
        process.exactly("running")
        said = process.step("first_ends")["truth"]
        self.assertEqual(said["create_other"], [1, 0])
        self.assertEqual(descriptors(process.pid), {"socket": 0, "fd": 0})  # its own are gone
        another = max(map(int, os.listdir(f"/proc/{process.pid}/task")))

        def listed():
            return {**descriptors(process.pid, another), **threads(process.pid)}
        process.in_total("first_ends", listed())
        process.step("late")
        process.in_total("late", listed())
        process.step("joined")
        report = process.in_total("joined", listed())
        self.assert_no_loss(report, "RELEASE", "ACQUIRE", "MAPPING")
        self.assertEqual(process.target.quit(), 0)

    def test_one_executes_and_the_others_are_gone(self):
        process = self.started("--kinds", "thread,socket,fd", "--follow")
        process.exactly("running")
        process.target.say("execute")
        self.assertEqual(process.target.line(), f"again {process.pid}")
        again = Process(self, process.target, process.leaktrace)
        self.assertEqual(again.before["thread"], 4)
        report = again.in_total("execute")
        self.assert_no_loss(report, "RELEASE", "ACQUIRE", "MAPPING")
        for name in ("joined", "running"):
            again.step(name)
            again.in_total(name)
        self.assertEqual(process.target.quit(), 0)
        self.assertEqual(process.leaktrace.wait(), 0, process.leaktrace.stderr)


class Others(Session):
    """Who shares descriptors without being a thread, and threads that do not share them."""

    def steps(self, *options):
        process = self.started("--kinds", "thread,socket,fd", *options)
        for name in ("hold", "share", "share_more", "share_no_more", "share_and_execute", "vfork",
                     "spawn", "apart", "apart_no_more"):
            process.exactly(name)
        self.assert_exact(process.exactly("close_held"))
        return process

    def test_whoever_uses_or_copies_descriptors(self):
        process = self.steps()
        self.assert_exact(process.leaktrace.stop())
        self.assertEqual(process.target.quit(), 0)

    def test_whoever_uses_or_copies_descriptors_and_is_followed(self):
        process = self.steps("--follow")
        self.assertEqual(process.target.quit(), 0)
        self.assertEqual(process.leaktrace.wait(), 0, process.leaktrace.stderr)

    def test_who_shared_them_before_the_attach(self):
        target = self.target("thread_kinds")
        for name in ("hold", "share"):
            target.say(name)
            target.line()
        process = Process(self, target, self.leaktrace(target, "--kinds", "socket,fd", interval=0.2))
        for name in ("share_more", "share_no_more", "share_and_execute", "close_held"):
            process.step(name)
            process.in_total(name, descriptors(process.pid))
        report = process.leaktrace.stop()
        self.assert_no_loss(report, "RELEASE", "ACQUIRE", "MAPPING")
        # Closed, and put in its place, by a process of which nobody had told; the rest is seen.
        self.assertLessEqual(report["notes"]["listing_corrected"], 2)
        self.assertEqual(target.quit(), 0)

    def test_the_first_thread_leaves_the_others_its_descriptors(self):
        process = self.started("--kinds", "thread,socket,fd")
        process.exactly("hold")
        process.exactly("leave_others")
        report = process.exactly("joined")
        self.assert_no_loss(report, "RELEASE", "ACQUIRE", "MAPPING")
        self.assertEqual(process.target.quit(), 0)
