# SPDX-License-Identifier: GPL-2.0-or-later
"""jemalloc: exact counts for all that it exports, and no harm to a program that catches bad_alloc."""


import harness
from harness import WORKLOADS, Leaktrace, Process, Target, free_port, wait_until


LIBRARY = "libjemalloc.so.2"


class JemallocTestCase(harness.TestCase):
    def preloaded(self, name, *arguments, settings=""):
        """A workload on jemalloc: env(1) becomes it, so the pid stays."""
        return self.own(Target(name, f"LD_PRELOAD={LIBRARY}", f"MALLOC_CONF={settings}",
                               WORKLOADS / name, *arguments, path="/usr/bin/env"))

    def compare(self, name, *arguments, **options):
        target = self.preloaded(name, *arguments, **options)
        leaktrace = self.leaktrace(target, "--top", 1000)
        truth = target.go().truth()
        report = leaktrace.stop()
        self.assert_no_loss(report)
        self.assert_truth(report, truth)
        self.assertEqual(report["target"]["allocator"], "jemalloc")
        self.assertEqual(report["totals"]["unknown_released"], 0)
        self.assertEqual(report["totals"]["repeated_released"], 0)
        self.assertEqual(target.quit(), 0)
        return truth


class Exactness(JemallocTestCase):
    def test_malloc_family_one_thread(self):
        self.compare("family", 1, 150000, 1)

    def test_malloc_family_eight_threads(self):
        self.compare("family", 8, 25000, 2)

    def test_realloc_to_zero_that_hands_out_a_block(self):
        truth = self.compare("family", 2, 20000, 3, settings="zero_realloc:alloc")
        self.assertGreater(truth["realloc_to_zero"]["acquired_count"], 0)

    def test_own_functions_and_operators(self):
        truth = self.compare("jemalloc", 50000)
        for site, counts in truth.items():
            with self.subTest(site=site):
                self.assertEqual(counts["acquired_count"] > 0, not site.startswith("fail_"))

    def test_exceptions_pass(self):
        self.compare("bad_alloc", 2000)


class Plan(JemallocTestCase):
    def test_explain(self):
        target = self.preloaded("family", 1, 1, 1)
        text = harness.run(harness.LEAKTRACE, "--explain", "-p", str(target.pid)).stdout
        self.assertRegex(text, r"(?s)\njemalloc in .*libjemalloc.*\nglibc in .*libc\.so")
        jemalloc = text[:text.index("\nglibc in ")]
        stepped = [l for l in jemalloc.splitlines() if "single-stepped" in l]
        self.assertTrue(all(": ret (" in line for line in stepped), stepped)


class Redis(JemallocTestCase):
    def test_no_loss_and_no_accusation(self):
        port = free_port()
        server = self.own(Process(["redis-server", "--port", port, "--save", "",
                                   "--appendonly", "no", "--daemonize", "no"],
                                  cwd=self.directory))
        wait_until(lambda: harness.run("redis-cli", "-p", str(port), "ping").stdout == "PONG\n",
                   "redis-server answers")
        leaktrace = self.own(Leaktrace(server.pid, self.directory, "--top", 1000))
        load = harness.run("redis-benchmark", "-p", str(port), "-t", "set,get,lpush,lpop", "-n",
                           "40000", "-P", "16", "-r", "1000", "-q")
        self.assertEqual(load.returncode, 0, load.stderr)
        report = leaktrace.stop()
        self.assert_no_loss(report, "RELEASE", "ACQUIRE")
        self.assertEqual(report["target"]["allocator"], "jemalloc")
        self.assertGreater(report["totals"]["acquired_count"], 40000)
        self.assertEqual(harness.leaking(report), [])
        server.signal(15)
        self.assertEqual(server.wait(), 0)
