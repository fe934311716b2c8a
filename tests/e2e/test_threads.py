# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads and processes that end in the middle of things, and children that are not the target."""

import harness
from harness import sites_of


class Threads(harness.TestCase):
    def test_threads_that_exit_or_are_cancelled_under_load(self):
        cancelled = 200
        target = self.target("thread_cancel", 1000, cancelled)
        leaktrace = self.leaktrace(target, "--top", 1000)
        truth = target.go().truth()
        report = leaktrace.stop()
        self.assert_no_loss(report, "RELEASE", "ACQUIRE")
        self.assert_truth(report, truth)
        sites = sites_of(report, "cancelled_malloc")
        self.assertGreater(sum(s["acquired_count"] for s in sites), cancelled)
        self.assertLessEqual(sum(s["live_count"] for s in sites), cancelled)
        self.assertEqual(target.quit(), 0)

    def test_a_call_left_by_longjmp_swallows_nothing(self):
        target = self.target("longjmp")
        leaktrace = self.leaktrace(target, "--top", 1000)
        truth = target.go().truth()
        report = leaktrace.stop()
        self.assert_no_loss(report)
        self.assert_truth(report, truth)
        self.assertGreater(report["notes"]["stale_call"], 0)
        self.assertEqual(target.quit(), 0)

    def test_a_forked_child_does_not_touch_the_parents_books(self):
        target = self.target("fork_child", 5000)
        leaktrace = self.leaktrace(target, "--top", 1000)
        truth = target.go().truth()
        report = leaktrace.stop()
        self.assert_no_loss(report)
        self.assert_truth(report, truth)
        self.assertEqual(target.quit(), 0)


class Ends(harness.TestCase):
    def test_exec_ends_with_a_report_and_the_new_program_runs(self):
        target = self.target("exec_self", 1000)
        leaktrace = self.leaktrace(target, "--top", 1000)
        truth = target.go().truth()
        leaktrace.wait_report()
        target.say("exec")
        report = leaktrace.final()
        self.assertEqual(report["end"]["reason"], "exec")
        self.assert_truth(report, truth)  # under its old name, not the new image's
        self.assertTrue(target.alive())

    def test_sigkill_in_the_middle_of_malloc(self):
        target = self.target("killed", 2)
        leaktrace = self.leaktrace(target, "--top", 1000)
        truth = target.go().truth()
        leaktrace.wait_report()
        target.say("die")
        report = leaktrace.final()
        self.assertEqual(report["end"], {"reason": "killed", "status": 9})
        self.assert_truth(report, truth)
        self.assertEqual(target.wait(), -9)

    def test_exit_with_a_status(self):
        target = self.target("victim", 1, 20000).go()
        leaktrace = self.leaktrace(target)
        leaktrace.wait_report()
        target.say("exit 7")
        report = leaktrace.final()
        self.assertEqual(report["end"], {"reason": "exited", "status": 7})
        self.assertEqual(target.wait(), 7)
