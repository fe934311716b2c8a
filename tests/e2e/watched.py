# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that are watched side by side for some time, and what was said of their own lines."""

import signal
import time
from pathlib import Path

from harness import Leaktrace, leaking


class Watched:
    """A process, leaktrace beside it, and in the end all its reports."""

    def __init__(self, process, directory):
        self.process = process
        self.leaktrace = Leaktrace(process.pid, directory, "--top", 1000, wait=False, kinds=None)
        self.reports = self.final = None
        self.truth = {}

    def end(self):
        self.final = self.leaktrace.final()
        self.reports = self.leaktrace.reports()

    def close(self):
        self.leaktrace.close()
        self.process.close()


def watch(watched, start, seconds):
    """Attaches to all; start() returns the loads, which end after so many seconds.

    Workloads say their truth then, before their sessions end.
    """
    for one in watched:
        one.leaktrace.wait_attached()
    loads = start()
    time.sleep(seconds)
    for load in loads:
        load.end()
    for one in watched:
        if not one.process.alive():
            raise AssertionError(f"{one.process.argv[0]} ended: {one.process.stderr}")
        if hasattr(one.process, "truth"):
            one.process.say("stop")
            one.truth = one.process.truth()
    for one in watched:
        one.leaktrace.signal(signal.SIGINT)  # to detach takes them a while: all at once
    for one in watched:
        one.end()


def place(site, source):
    """(function, line) of the innermost frame in this source; None: there is none."""
    for frame in site["frames"]:
        if Path(frame.get("file") or "").name == source:
            return frame["func"], frame["line"]
    return None


def accused(report, source):
    """{(kind, function, line)} of all that leaks, by the innermost frame in this source."""
    return {(site["kind"], *(place(site, source) or (None, None))) for site in leaking(report)}


def sites_at(report, kind, source, where):
    """Sites of a kind by the function, or the line, of their innermost frame in this source."""
    return [site for site in report["sites"]
            if site["kind"] == kind and where in (place(site, source) or ())]


def lacking(report, count, sites, key="live_count"):
    """How many of so many resources these sites lack: none, but for stacks that were cut in the
    first moment, while unwind tables were made.  To have too many is always wrong."""
    lack = count - sum(site[key] for site in sites)
    return 0 if 0 <= lack <= report["loss"]["stack_pending"] else lack


def the_group(site):
    """What a site's live resources are: (type, relation, what), and {state: count}.

    All of them, by and large: a connection that both sides have left is reset as soon as its peer's
    port is used again, and then the kernel tells of it no more.
    """
    group = site["groups"][0]
    if group["count"] < 0.95 * site["live_count"]:
        raise AssertionError(f"not all of {site['live_count']}: {site['groups']}")
    return ((group["type"], group["relation"], group["what"]),
            {s["state"]: s["count"] for s in group["states"]})


def findings(report):
    """The kinds of the sites of each finding."""
    return [{report["sites"][i]["kind"] for i in f["sites"]} for f in report["findings"]]
