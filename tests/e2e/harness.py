# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests share: workloads that print their own truth, and leaktrace beside them.

Every wait has a limit and fails at it.  Nothing is skipped: without BPF, the tests fail.
"""

import json
import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("LEAKTRACE_BUILD", ROOT / "build")).resolve()
LEAKTRACE = BUILD / "leaktrace"
WORKLOADS = BUILD / "workloads"
SOURCES = ROOT / "tests" / "workloads"
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
PATIENCE_S = 60  # for what takes a moment: a limit, not an expectation
TRUTH_FIELDS = ("live_count", "live_bytes", "acquired_count", "released_count")


def loss_counters(*classes):
    """Names of the counters of these classes, from the contract itself."""
    text = (ROOT / "include" / "leaktrace" / "counters.def").read_text()
    found = re.findall(r'^LT_COUNTER\(\w+,\s*"(\w+)",\s*(\w+),', text, re.M)
    return [name for name, kind in found if kind in classes]


def lost(report, *classes):
    """The counters of these classes that are not zero."""
    return {n: report["loss"][n] for n in loss_counters(*classes) if report["loss"].get(n)}


def top_function(site):
    return site["frames"][0].get("func") or "" if site["frames"] else ""


def sites_of(report, function):
    return [site for site in report["sites"] if top_function(site) == function]


def leaking(report):
    return [site for site in report["sites"] if site["verdict"] == "leaking"]


def marked_line(source, marker="/* LEAK */"):
    lines = (SOURCES / source).read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if marker in line)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, what, limit_s=PATIENCE_S, every_s=0.05):
    """The first true value of the condition; an AssertionError at the limit."""
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit_s} s in vain: {what}")
        time.sleep(every_s)


class Process:
    """A child of ours whose output is read as it comes."""

    def __init__(self, argv, **options):
        self.argv = [a if isinstance(a, (str, bytes)) else str(a) for a in argv]
        self.stdout_lines, self.stderr_lines = [], []
        self._queue = queue.Queue()
        self.popen = subprocess.Popen(
            self.argv, stdin=subprocess.PIPE,
            stdout=options.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE, **options)
        self.pid = self.popen.pid
        self._readers = [self._read(self.popen.stdout, self.stdout_lines, self._queue),
                         self._read(self.popen.stderr, self.stderr_lines, None)]

    @staticmethod
    def _read(stream, lines, to):
        def body():
            for raw in stream:
                line = raw.decode(errors="replace").rstrip("\n")
                lines.append(line)
                if to:
                    to.put(line)
            if to:
                to.put(None)
        if stream is None:
            return None
        reader = threading.Thread(target=body, daemon=True)
        reader.start()
        return reader

    def say(self, text):
        self.popen.stdin.write(text.encode() + b"\n")
        self.popen.stdin.flush()

    def line(self, limit_s=PATIENCE_S):
        """The next line of stdout."""
        try:
            line = self._queue.get(timeout=limit_s)
        except queue.Empty:
            raise AssertionError(f"{self.argv[0]} printed nothing for {limit_s} s") from None
        if line is None:
            raise AssertionError(f"{self.argv[0]} ended its output; stderr: {self.stderr}")
        return line

    @property
    def stdout(self):
        return "\n".join(self.stdout_lines)

    @property
    def stderr(self):
        return "\n".join(self.stderr_lines)

    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        self.popen.send_signal(number)

    def wait(self, limit_s=PATIENCE_S):
        """The exit status, negative for a signal, once all output is read."""
        try:
            status = self.popen.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{' '.join(map(str, self.argv))} still runs after {limit_s} s; "
                                 f"stderr: {self.stderr}") from None
        for reader in self._readers:
            if reader:
                reader.join(limit_s)
        return status

    def close(self):
        if self.alive():
            self.popen.kill()
        self.popen.wait()
        for reader in self._readers:
            if reader:
                reader.join(PATIENCE_S)
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            try:
                if stream:
                    stream.close()
            except BrokenPipeError:
                pass


class Target(Process):
    """A workload: see tests/workloads/truth.h for what is said between us."""

    def __init__(self, name, *arguments, path=None):
        super().__init__([path or WORKLOADS / name, *map(str, arguments)])
        ready = self.line()
        if ready != f"ready {self.pid}":
            raise AssertionError(f"{name} said {ready!r}")

    def go(self):
        self.say("go")
        return self

    def truth(self, limit_s=180):
        return json.loads(self.line(limit_s))["truth"]

    def rate(self):
        self.say("rate")
        return int(self.line().removeprefix("rate "))

    def quit(self):
        self.say("quit")
        return self.wait()


class Leaktrace(Process):
    """leaktrace on a target, with its reports in a file."""

    # What memory needs: to let go of each watched system call takes the kernel some 40 ms.
    MEMORY = "heap,mmap"

    def __init__(self, pid, directory, *options, interval=1, count=None, wait=True, kinds=MEMORY,
                 **more):
        """kinds: None for all; nothing if the options name some."""
        if kinds and "--kinds" not in options:
            options = ("--kinds", kinds, *options)
        handle, name = tempfile.mkstemp(suffix=".ndjson", dir=directory)
        os.close(handle)
        self.json_path = Path(name)
        tail = [] if count is None else [str(count)]
        super().__init__([LEAKTRACE, "-p", str(pid), "--json", name, *map(str, options),
                          str(interval), *tail], **more)
        if wait:
            self.wait_attached()

    def wait_attached(self):
        def attached():
            if any(l.startswith("leaktrace: attached") for l in self.stderr_lines):
                return True
            if not self.alive():
                status = self.wait()
                raise AssertionError(f"leaktrace did not attach (status {status}): {self.stderr}")
            return False
        wait_until(attached, "leaktrace: attached")

    def each_report(self, offset=0):
        """The reports from an offset on, one by one; a line that is still being written is left for later."""
        with self.json_path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                report = json.loads(line)
                if report["type"] == "report":
                    yield report

    def reports(self):
        return list(self.each_report())

    def whole_bytes(self, offset=0):
        """How much of the reports' file is whole lines; up to there offset is known to be."""
        with self.json_path.open("rb") as file:
            file.seek(offset)
            return offset + file.read().rfind(b"\n") + 1

    def wait_report(self, condition=lambda report: True, limit_s=PATIENCE_S):
        """The first report from now on for which the condition holds."""
        seen = self.whole_bytes()

        def found():
            nonlocal seen
            begin, seen = seen, self.whole_bytes(seen)
            return next((r for r in self.each_report(begin) if condition(r)), None)
        return wait_until(found, "a report that meets the condition", limit_s)

    def final(self, status=0):
        """The final report of a session that ends by itself."""
        got = self.wait()
        if got != status:
            raise AssertionError(f"leaktrace ended with {got}, not {status}: {self.stderr}")
        reports = self.reports()
        if not reports or not reports[-1]["final"]:
            raise AssertionError(f"no final report; stderr: {self.stderr}")
        if any(r["final"] for r in reports[:-1]):
            raise AssertionError("a final report that is not the last one")
        return reports[-1]

    def stop(self, status=0, number=signal.SIGINT):
        self.signal(number)
        return self.final(status)


def run(*argv, **options):
    """Runs to the end: a CompletedProcess with text output."""
    options.setdefault("timeout", 120)
    return subprocess.run([os.fspath(a) for a in argv], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False, **options)


class TestCase(unittest.TestCase):
    """Owns what a test starts and the directory it writes into."""

    def setUp(self):
        self.directory = self.own_directory(self.addCleanup)

    @staticmethod
    def own_directory(add_cleanup):
        path = Path(tempfile.mkdtemp(prefix="leaktrace-test-"))
        path.chmod(0o755)  # what runs without root reads here
        add_cleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def own(self, process):
        self.addCleanup(process.close)
        return process

    def target(self, name, *arguments, **options):
        return self.own(Target(name, *arguments, **options))

    def leaktrace(self, target, *options, **more):
        return self.own(Leaktrace(target.pid, self.directory, *options, **more))

    def assert_works(self, target):
        """The workload victim is alive and makes progress."""
        self.assertTrue(target.alive(), target.stderr)
        self.assertGreater(target.rate(), 0)

    def assert_no_loss(self, report, *classes):
        self.assertEqual(lost(report, *(classes or ("RELEASE", "ACQUIRE", "DETAIL"))), {})

    def assert_truth(self, report, truth):
        """Sums per function are equal, in every field of the truth."""
        self.assertTrue(truth)
        wrong = []
        for function, expected in truth.items():
            sites = sites_of(report, function)
            for field in TRUTH_FIELDS:
                counted = sum(site[field] for site in sites)
                if counted != expected[field]:
                    wrong.append(f"{function} {field}: {counted}, truth {expected[field]}")
        self.assertEqual(wrong, [], f"{len(wrong)} differ; loss: {report['loss']}")
