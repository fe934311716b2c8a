#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the end-to-end tests: run.py [-v] [PART-OF-A-NAME ...].  Needs root and BPF."""

import signal
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True


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


def main():
    # In the background of a shell SIGINT is ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parts = [a for a in sys.argv[1:] if not a.startswith("-")]
    tests = list(chosen(unittest.defaultTestLoader.discover(str(HERE), "test_*.py"), parts))
    result = Result()
    unittest.TestSuite(tests).run(result)
    if not tests:
        print("no test matches")
    print(f"{result.passed} passed, {result.failed} failed")
    return 0 if tests and not result.failed else 1


if __name__ == "__main__":
    sys.exit(main())
