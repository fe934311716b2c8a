#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""test_redis.py BUILD: ten minutes of a redis-server under load, recorded by make_redis.py, judged
each second: nothing is ever called leaking but what leaks."""

import json
import lzma
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
LEAKTRACE = Path(os.environ.get("LEAKTRACE_BUILD", "build")) / "leaktrace"
SECONDS = 600
# What was there before the attach lives for 100 s (LONG_LIFE_S in redis_load.py); while as much of
# it is released as leaks, nothing is accused (docs/VERDICT.md).  The shortest window has 48 s.
FOUND_BY_S = 100 + 48
LEAK = ("note_connection", "redis_leak.c")


def replay(name):
    """The reports of a recording."""
    with tempfile.NamedTemporaryFile(suffix=".ltrec") as unpacked:
        unpacked.write(lzma.decompress((HERE / f"{name}.ltrec.xz").read_bytes()))
        unpacked.flush()
        with subprocess.Popen([LEAKTRACE, "replay", "--json", "-", "--top", "1000", unpacked.name],
                              stdout=subprocess.PIPE) as done:
            reports = [r for r in map(json.loads, done.stdout) if r["type"] == "report"]
    if done.returncode:
        raise AssertionError(f"leaktrace replay ended with {done.returncode}")
    return reports


def name_of(site):
    frame = site["frames"][0]
    return frame["func"], Path(frame["file"] or "").name


def names_by_verdict(report, verdict):
    return [name_of(site) for site in report["sites"] if site["verdict"] == verdict]


def changes(reports):
    """How often each verdict is given, each time that it changes."""
    lines, before = [], None
    for report in reports:
        verdicts = sorted(site["verdict"] for site in report["sites"])
        counts = {verdict: verdicts.count(verdict) for verdict in verdicts}
        if counts != before:
            lines.append(f"{report['elapsed_s']:6.0f} s  {counts}")
        before = counts
    return "\n".join(lines)


class Redis(unittest.TestCase):
    def reports(self, name):
        reports = replay(name)
        print(f"{name}: {len(reports)} reports\n{changes(reports)}")
        self.assertGreaterEqual(len(reports), SECONDS - 1)
        self.assertGreaterEqual(reports[-1]["elapsed_s"], SECONDS - 1)
        final = reports[-1]
        self.assertEqual({name: count for name, count in final["loss"].items() if count}, {})
        self.assertEqual(final["totals"]["sites"], len(final["sites"]))
        self.assertEqual(final["target"]["allocator"], "jemalloc")
        self.assertGreater(final["totals"]["acquired_count"], 100 * SECONDS)
        return reports

    def test_nothing_healthy_is_ever_called_leaking(self):
        for report in self.reports("redis_clean"):
            self.assertEqual(names_by_verdict(report, "leaking"), [],
                             f"after {report['elapsed_s']} s")

    def test_the_leak_is_found_and_nothing_else(self):
        reports = self.reports("redis_leak")
        found = [names_by_verdict(report, "leaking") for report in reports]
        self.assertEqual([names for names in found if names not in ([], [LEAK])], [])
        found_by_s = max(r["elapsed_s"] for r, names in zip(reports, found) if not names)
        self.assertLessEqual(found_by_s, FOUND_BY_S, "not named in a later report")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        LEAKTRACE = Path(sys.argv.pop(1)) / "leaktrace"
    unittest.main()
