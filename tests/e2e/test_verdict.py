# SPDX-License-Identifier: GPL-2.0-or-later
"""A leak is named, and nothing else is, at any moment and at any report interval.

The workloads run once, side by side; the tests look at what was reported.
"""

from pathlib import Path

import harness
from harness import Leaktrace, Target, leaking, marked_line, sites_of, top_function

SECONDS = 100
LEAK_ALL_LIMIT_S = 60


class Verdicts(harness.TestCase):
    PATIENT = True

    @classmethod
    def setUpClass(cls):
        directory = cls.own_directory(cls.addClassCleanup)

        def own(process):
            cls.addClassCleanup(process.close)
            return process

        sites = own(Target("sites", 10000, SECONDS))
        each_second = own(Leaktrace(sites.pid, directory, "--top", 1000))
        each_ten = own(Leaktrace(sites.pid, directory, "--top", 1000, interval=10))
        all_ = own(Target("leak_all", 100, LEAK_ALL_LIMIT_S))
        whole = own(Leaktrace(all_.pid, directory, "--top", 1000, "--fail-on-leak"))
        sites.go()
        all_.go()
        all_.truth()
        cls.leak_all_final = whole.stop(status=3)
        cls.leak_all = whole.reports()
        cls.truth = sites.truth(SECONDS + harness.PATIENCE_S)
        cls.final = each_second.stop()
        cls.final_ten = each_ten.stop()
        cls.reports = each_second.reports()
        cls.reports_ten = each_ten.reports()

    def assert_named(self, site, function, source):
        frame = site["frames"][0]
        self.assertEqual(frame["func"], function)
        self.assertEqual(Path(frame["file"]).name, source)
        self.assertEqual(frame["line"], marked_line(source))

    def test_the_one_percent_leak_is_named_with_its_line(self):
        sites = sites_of(self.final, "leak_one_percent")
        self.assertEqual([s["verdict"] for s in sites], ["leaking"])
        self.assert_named(sites[0], "leak_one_percent", "sites.c")

    def test_nothing_healthy_is_ever_called_leaking(self):
        self.assertGreater(len(self.reports), SECONDS // 2)
        for report in self.reports + self.reports_ten:
            accused = {top_function(s) for s in leaking(report)} - {"leak_one_percent"}
            self.assertEqual(accused, set(), f"after {report['elapsed_s']} s")

    def test_all_healthy_sites_were_seen(self):
        seen = {top_function(s) for s in self.final["sites"]}
        self.assertEqual({f"healthy_{n:02}" for n in range(50)} - seen, set())

    def test_the_pool_is_stable_after_it_stopped_growing(self):
        self.assertEqual([s["verdict"] for s in sites_of(self.final, "healthy_04")], ["stable"])

    def test_the_report_interval_does_not_matter(self):
        for function in ("leak_one_percent", "healthy_00", "healthy_04", "healthy_20"):
            with self.subTest(function=function):
                self.assertEqual([s["verdict"] for s in sites_of(self.final_ten, function)],
                                 [s["verdict"] for s in sites_of(self.final, function)])

    def test_a_leak_of_everything_is_named_within_a_minute(self):
        first = next(r for r in self.leak_all if leaking(r))
        self.assertLessEqual(first["elapsed_s"], LEAK_ALL_LIMIT_S)
        for report in self.leak_all:
            self.assertLessEqual({top_function(s) for s in leaking(report)}, {"leak_everything"})
        self.assert_named(sites_of(self.leak_all_final, "leak_everything")[0],
                          "leak_everything", "leak_all.c")

    def test_counts_are_exact_as_well(self):
        self.assert_no_loss(self.final)
        self.assert_truth(self.final, self.truth)
