#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the end-to-end tests: run.py [-v] [PART-OF-A-NAME ...].  Needs root and BPF.

LEAKTRACE_TESTS_AT_ONCE: how many classes of tests that mostly wait run beside each other, 5 by default.
"""

import os
import re
import signal
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

ALONE = "--alone"  # exactly these tests, one after the other
AT_ONCE = int(os.environ.get("LEAKTRACE_TESTS_AT_ONCE", 5))


class Result(unittest.TestResult):
    """One line per test; a skipped test is a failed one."""

    def __init__(self):
        super().__init__()
        self.passed = self.failed = 0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()

    def _line(self, word, test):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        print(f"{word:4} {test.id()} ({seconds:.1f} s)", flush=True)

    def _fail(self, test, text):
        self.failed += 1
        self._line("FAIL", test)
        print(text, flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self._line("ok", test)

    def addError(self, test, err):
        self._fail(test, self._exc_info_to_string(err, test))

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err:
            self._fail(subtest, self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        self._fail(test, f"skipped: {reason}")

    def addExpectedFailure(self, test, err):
        self._fail(test, "an expected failure is a failure")

    def addUnexpectedSuccess(self, test):
        self._fail(test, "marked as failing, but passes")


def chosen(suite, parts):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from chosen(item, parts)
        elif not parts or any(part in item.id() for part in parts) or "_FailedTest" in item.id():
            yield item


def beside(groups, result):
    """Classes that mostly wait (PATIENT), some at a time, each in a process of its own."""
    def run(tests):
        return subprocess.run([sys.executable, __file__, ALONE, *(t.id() for t in tests)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for tests, done in zip(groups, pool.map(run, groups)):
            *lines, last = done.stdout.splitlines() or [""]
            print("\n".join(lines), flush=True)
            counted = re.fullmatch(r"(\d+) passed, (\d+) failed", last)
            passed, failed = map(int, counted.groups()) if counted else (0, 0)
            result.passed += passed
            result.failed += failed
            if not counted or (not passed and not failed):
                result.failed += len(tests)
                print(f"FAIL {tests[0].id()} and the others of its class: {last}", flush=True)


def main():
    # In the background of a shell SIGINT is ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parts = [a for a in sys.argv[1:] if not a.startswith("-")]
    tests = list(chosen(unittest.defaultTestLoader.discover(str(HERE), "test_*.py"), parts))
    result = Result()
    if ALONE in sys.argv:
        tests = [t for t in tests if t.id() in parts]
    else:
        patient = {}
        for test in tests:
            if getattr(type(test), "PATIENT", False):
                patient.setdefault(type(test), []).append(test)
        beside(list(patient.values()), result)
        tests = [t for t in tests if type(t) not in patient]
    unittest.TestSuite(tests).run(result)
    ran = result.passed + result.failed
    if not ran:
        print("no test matches")
    print(f"{result.passed} passed, {result.failed} failed")
    return 0 if ran and not result.failed else 1


if __name__ == "__main__":
    sys.exit(main())
