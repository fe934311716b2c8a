# SPDX-License-Identifier: GPL-2.0-or-later
"""The counts are exact, or loss is reported; a recording replays to the same bytes."""

import json
import signal
import time

import harness
from harness import LEAKTRACE, NOBODY, Leaktrace, Target, leaking, lost, run


TCACHE_BLOCKS = 64 * 7  # glibc: TCACHE_MAX_BINS, TCACHE_FILL_COUNT


class Exactness(harness.TestCase):
    def compare(self, name, *arguments):
        target = self.target(name, *arguments)
        leaktrace = self.leaktrace(target, "--top", 1000)
        truth = target.go().truth()
        report = leaktrace.stop()
        self.assert_no_loss(report)
        self.assert_truth(report, truth)
        # A thread's cache is passed to free() again at its end, also blocks split off in between.
        threads = arguments[0] if name == "family" else 0
        self.assertLessEqual(report["totals"]["unknown_released"], threads * TCACHE_BLOCKS)
        self.assertEqual(target.quit(), 0)

    def test_every_function_one_thread(self):
        self.compare("family", 1, 150000, 1)

    def test_every_function_eight_threads(self):
        self.compare("family", 8, 25000, 2)

    def test_two_million_live_blocks(self):
        self.compare("million", 2000000)


class Loss(harness.TestCase):
    PATIENT = True

    def test_counts_differ_only_where_loss_is_reported(self):
        target = self.target("family", 8, 20000, 3)
        leaktrace = self.leaktrace(target, "--top", 1000, "--ring-size", 4096)
        truth = target.go().truth()
        report = leaktrace.stop()
        if not lost(report, "RELEASE", "ACQUIRE"):
            self.assert_truth(report, truth)
        self.assertEqual([leaking(r) for r in leaktrace.reports() if leaking(r)], [])

    def test_after_loss_nothing_is_called_leaking(self):
        """A real leak, of which a stalled reader and a tiny ring lose releases for a moment."""
        target = self.target("leak_all", 500, 40)
        leaktrace = self.leaktrace(target, "--top", 1000, "--ring-size", 4096)
        target.go()
        leaktrace.wait_report()
        leaktrace.signal(signal.SIGSTOP)
        time.sleep(1)
        leaktrace.signal(signal.SIGCONT)
        target.truth()
        report = leaktrace.stop()
        self.assertTrue(lost(report, "RELEASE"), report["loss"])
        self.assertEqual([leaking(r) for r in leaktrace.reports() if leaking(r)], [])
        self.assertTrue(harness.sites_of(report, "leak_everything"))


class Replay(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        """One session, recorded while it reports; each test replays a copy."""
        directory = cls.own_directory(cls.addClassCleanup)
        path = directory / "recording"
        target = Target("leak_all", 100, 6)
        cls.addClassCleanup(target.close)
        live = Leaktrace(target.pid, directory, "--top", 1000, "--record", path, "--color=never")
        cls.addClassCleanup(live.close)
        target.go().truth()
        live.stop()
        cls.content = path.read_bytes()
        cls.live_json = live.json_path.read_text()
        cls.live_text = live.stdout_lines

    def replay(self, *options, content=None, before=()):
        path = self.directory / "copy"
        path.write_bytes(self.content if content is None else content)
        path.chmod(0o644)
        return run(*before, LEAKTRACE, "replay", path, "--top", "1000", "--color=never", *options)

    def test_json_is_the_same(self):
        self.assertGreaterEqual(len(self.live_json.splitlines()), 3)
        for name, before in (("root", ()), ("nobody", NOBODY)):
            with self.subTest(user=name):
                result = self.replay("--json", "-", before=before)
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(result.stdout, self.live_json)

    def test_text_is_the_same(self):
        result = self.replay()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.splitlines(), self.live_text)
        self.assertIn("leak_everything", result.stdout)

    def test_a_cut_recording_is_read_as_far_as_it_goes(self):
        for share in (0.5, 0.9, 0.999):
            with self.subTest(share=share):
                cut = self.content[:int(len(self.content) * share)]
                result = self.replay("--json", "-", content=cut)
                self.assertEqual(result.returncode, 0, result.stderr)
                last = json.loads(result.stdout.splitlines()[-1])
                self.assertTrue(last["final"])
                self.assertIn("leaktrace: ", result.stderr)

    def test_what_is_no_recording_is_refused(self):
        for content in (b"", b"\x7fELF and so on" * 100, b"\0" * 4096):
            with self.subTest(content=content[:8]):
                result = self.replay("--json", "-", content=content)
                self.assertEqual(result.returncode, 1, result.stdout)
                self.assertRegex(result.stderr, r"\Aleaktrace: .*\n\Z")
