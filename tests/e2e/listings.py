# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel lists of a process, and reports beside it."""

import json
import os
from collections import Counter
from pathlib import Path

STEP_S = 40  # for a report that agrees: a limit, not an expectation
LISTED = ("socket", "fd", "thread")


def descriptors(pid, thread=None):
    """How many descriptors of each kind /proc/PID/fd shows, or that of one of its threads."""
    folder = Path(f"/proc/{pid}/task/{thread}/fd" if thread else f"/proc/{pid}/fd")
    links = [os.readlink(fd) for fd in folder.iterdir()]
    sockets = sum(link.startswith("socket:") for link in links)
    return {"socket": sockets, "fd": len(links) - sockets}


def threads(pid):
    return {"thread": len(os.listdir(f"/proc/{pid}/task"))}


def live(report, kinds=LISTED):
    """What of these kinds leaktrace says to live, by kind."""
    return {kind: report["totals"]["kinds"][kind]["live_count"] for kind in kinds}


def wrong_totals(report, listed):
    """Where what lives, by kind, is not what the kernel lists, or leaktrace does not say that it agrees."""
    got = live(report, listed)
    wrong = [f"{kind}: {got[kind]} live, not {n}" for kind, n in listed.items() if got[kind] != n]
    for name, kinds in (("descriptors", ("socket", "fd")), ("threads", ("thread",))):
        if not set(kinds) <= set(listed):
            continue
        said, count = report["listings"][name] or {}, sum(listed[kind] for kind in kinds)
        if (said.get("listed"), said.get("unknown"), said.get("vanished")) != (count, 0, 0):
            wrong.append(f"{name}: {said}, not {count}")
    return wrong


def own_frame(site, sources):
    """The first frame in one of these source files, or None."""
    return next((f for f in site["frames"]
                 if f.get("file") and Path(f["file"]).name in sources), None)


def counted(report, sources, kinds=LISTED):
    """{(function, kind): [acquired, released, live]} and {function: lines} of sites with a frame there."""
    counts, lines = {}, {}
    for site in report["sites"]:
        frame = own_frame(site, sources) if site["kind"] in kinds else None
        if frame:
            sums = counts.setdefault((frame["func"], site["kind"]), [0, 0, 0])
            for i, key in enumerate(("acquired_count", "released_count", "live_count")):
                sums[i] += site[key]
            lines.setdefault(frame["func"], set()).add(frame["line"])
    return counts, lines


def differences(report, expected, expected_lines, sources):
    """
    Where the report differs from expected, {(function, kind): (acquired, released)}, and from
    {function: line}.  Functions that have no site acquired nothing.
    """
    kinds = {kind for _, kind in expected}
    counts, lines = counted(report, sources, kinds)
    wrong = []
    for key in sorted(set(counts) | set(expected)):
        acquired, released = expected.get(key, (0, 0))
        if (got := counts.get(key, [0, 0, 0])) != (want := [acquired, released, acquired - released]):
            wrong.append(f"{key[0]} ({key[1]}): acquired, released, live {got}, not {want}")
    wrong += [f"{function}: lines {found}, not {expected_lines.get(function)}"
              for function, found in lines.items() if found != {expected_lines.get(function)}]
    return wrong


class Steps:
    """A workload that does what it is told, and a leaktrace whose reports are to agree with it."""

    def __init__(self, test, target, leaktrace, pid=None):
        self.test, self.target, self.leaktrace = test, target, leaktrace
        self.pid = pid or target.pid

    def step(self, name):
        """Does it: what the workload says."""
        self.target.say(name)
        line = self.target.line()
        self.test.assertTrue(line.startswith("{"), f"{name}: {line}")
        return json.loads(line)

    def agree(self, what, wrong):
        """The first report of the process about which wrong(report) has nothing to say."""
        def right(report):
            return report["target"]["pid"] == self.pid and not wrong(report)
        try:
            return self.leaktrace.wait_report(right, STEP_S)
        except AssertionError:
            reports = [r for r in self.leaktrace.reports() if r["target"]["pid"] == self.pid]
            last = reports[-1] if reports else None
            self.test.fail(f"{what}: {wrong(last) if last else 'no report'} in {len(reports)} reports, "
                           f"the last at {last['elapsed_s'] if last else 0} s\n"
                           f"loss: {nonzero(last, 'loss')}, notes: {nonzero(last, 'notes')}; "
                           f"{self.leaktrace.stderr}")


def nonzero(report, key):
    return {name: n for name, n in report[key].items() if n} if report else None


def summed(truth):
    """By kind, of a truth {(function, kind): (acquired, released)}."""
    sums = Counter()
    for (_, kind), (acquired, released) in truth.items():
        sums[kind] += acquired - released
    return sums
