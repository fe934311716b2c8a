# SPDX-License-Identifier: GPL-2.0-or-later
"""Go services with one mistake each are told the line of it, and their healthy twins nothing.

All of them run at once, with one session; a second one, with probes, has those that need it.
"""

import json
import re
import signal
import time

import golang
import harness
from harness import wait_until

HEAP = ("after", "context", "slice", "map", "pin", "registry", "closure", "cursor", "statement",
        "connection")
GOROUTINES = ("chan-receive", "chan-send", "select", "waitgroup", "mutex", "ticker", "fanout")
HUGE = 400000000  # bytes, once: no growth, but the largest of all by far
PROBED_KINDS = "goroutine,go-heap,http-body,ticker,context,socket"
PATIENCE_S = 300  # for verdicts: a limit
WATCHED_S = 60  # a twin is healthy if nothing is said of it for as long as this
NOT_SINCE = {"after": 27}  # what is no leak any more from this Go 1.x on


def marked(marker):
    """{scenario: {"file:line"}} of the lines that say so."""
    lines = {}
    for path in golang.SOURCES.glob("*/*.go"):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            said = re.search(rf"// {marker} (\S+)$", line)
            if said:
                lines.setdefault(said[1], set()).add(f"{path}:{number}")
    return lines


def places(site):
    return {f"{f['file']}:{f['line']}" for f in site["frames"] if f.get("file")}


class Session:
    """Programs by name, leaktrace on them all, and what was said of each so far."""

    def __init__(self, test, programs, *options):
        self.programs = programs
        self.began = time.monotonic()
        pids = ",".join(str(program.pid) for program in programs.values())
        self.leaktrace = test.own(harness.Leaktrace(
            pids, test.directory, "--top", 40, *options, interval=5, kinds=None))
        self.names = {program.pid: name for name, program in programs.items()}
        self.read = 0
        self.sites = {name: [] for name in programs}  # of the latest report
        self.accused = {name: [] for name in programs}  # leaking sites, of all reports

    def look(self):
        with self.leaktrace.json_path.open("rb") as file:
            file.seek(self.read)
            whole, _, _ = file.read().rpartition(b"\n")
        self.read += len(whole) + 1 if whole else 0
        for report in map(json.loads, whole.splitlines()):
            if report["type"] == "report":
                name = self.names[report["target"]["pid"]]
                self.sites[name] = report["sites"]
                self.accused[name] += harness.leaking(report)

    def lacking(self, expected):
        """The names of which the expectation does not hold yet."""
        self.look()
        return [name for name, holds in expected.items() if not holds(self, name)]

    def wait(self, expected):
        try:
            wait_until(lambda: not self.lacking(expected), "all verdicts", PATIENCE_S, every_s=1)
        except AssertionError as error:
            said = [f"{name}: {site['kind']} {site['verdict']} ({site['live_count']}) {site['reason']}: "
                    f"{sorted(places(site))}"
                    for name in self.lacking(expected) for site in self.sites[name]]
            raise AssertionError("\n".join([str(error), *said])) from None
        wait_until(lambda: time.monotonic() - self.began > WATCHED_S, "time", PATIENCE_S)
        self.look()


def accused_at(kinds, lines):
    """One leaking site has all these lines."""
    return lambda session, name: any(site["kind"] in kinds and lines <= places(site)
                                     for site in session.accused[name])


def accused_in(kind, function):
    return lambda session, name: any(
        site["kind"] == kind and any(function in (f.get("func") or "") for f in site["frames"])
        for site in session.accused[name])


def holds_huge(lines):
    return lambda session, name: any(site["live_bytes"] >= HUGE and lines <= places(site)
                                     for site in session.sites[name])


class Services(harness.TestCase):
    PATIENT = True
    started = {}

    def start(self, version, names):
        """{(scenario, "leak" or "clean"): process}"""
        directory = golang.build(version, "leaks", "grpc")
        # So timers are kept until they expire, as before 1.23; 1.27 does not know it any more, and ends.
        timers = {"GODEBUG": "asynctimerchan=1"} if golang.minor(version) < NOT_SINCE["after"] else {}
        for process in self.started.values():  # those of another version
            process.close()
        self.started = {}
        for name in names:
            for mode in ("leak", "clean"):
                program = (["grpc"] if name == "grpc" else ["leaks", name]) + [mode]
                self.started[name, mode] = self.own(golang.start(
                    directory / program[0], *program[1:], **timers))
        return self.started

    def check(self, session, expected):
        session.wait(expected)
        self.assertEqual({name: [(s["kind"], s["reason"], s["frames"]) for s in sites]
                          for name, sites in session.accused.items()
                          if name[1] == "clean" and sites}, {})
        for name, program in session.programs.items():
            self.assertTrue(program.alive(), f"{name}: {program.stderr}")
        session.leaktrace.signal(signal.SIGINT)
        self.assertEqual(session.leaktrace.wait(), 0, session.leaktrace.stderr)


class GoLeaks(Services):
    def test_by_default(self):
        leak = marked("LEAK")
        for version in golang.versions():
            with self.subTest(version):
                expected = {(name, "leak"): accused_at({"go-heap"}, leak[name]) for name in HEAP
                            if golang.minor(version) < NOT_SINCE.get(name, 1000)}
                expected |= {(name, "leak"): accused_at({"goroutine"}, leak[name])
                             for name in GOROUTINES}
                expected["huge", "leak"] = holds_huge(leak["huge"])
                expected["body", "leak"] = accused_in("goroutine", "persistConn).readLoop")
                expected["grpc", "leak"] = accused_in("goroutine", "google.golang.org/grpc")
                session = Session(self, self.start(version, [name for name, _ in expected]))
                self.check(session, expected)
                self.assertFalse(holds_huge(leak["huge"])(session, ("huge", "clean")))


class GoLeaksProbed(Services):
    def test_with_probes(self):
        leak, acquired = marked("LEAK"), marked("ACQUIRED")
        for version in golang.versions():
            with self.subTest(version):
                session = Session(self, self.start(version, ("body", "grpc", "ticker", "context")),
                                  "--go-probes", "--kinds", PROBED_KINDS)
                self.check(session, {
                    ("body", "leak"): accused_at({"http-body"}, leak["body"]),
                    ("grpc", "leak"): accused_at({"socket", "goroutine"}, leak["grpc"]),
                    # From 1.23 on a ticker is collected like anything else: who holds it is seen.
                    ("ticker", "leak"): accused_at({"ticker"}, acquired["ticker"])
                    if golang.minor(version) < 23 else accused_at({"goroutine"}, leak["ticker"]),
                    ("context", "leak"): accused_at({"context"}, leak["context"])})
