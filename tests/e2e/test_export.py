# SPDX-License-Identifier: GPL-2.0-or-later
"""The Prometheus textfile: promtool accepts it and a real node exporter serves it."""

import re
import shutil
import stat
import subprocess
import urllib.request

import harness
from harness import PATIENCE_S, run

PROMTOOL = "/usr/bin/promtool"
NODE_EXPORTER = "/usr/bin/prometheus-node-exporter"


def scrape(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return answer.read().decode()
    except OSError:
        return ""


class Textfile(harness.TestCase):
    PATIENT = True

    def setUp(self):
        super().setUp()
        self.prom = self.directory / "leaktrace.prom"

    def written(self):
        return harness.wait_until(lambda: self.prom.exists() and self.prom.read_bytes(),
                                  "the textfile")

    def assert_accepted(self, data):
        result = subprocess.run([PROMTOOL, "check", "metrics"], input=data, capture_output=True,
                                check=False, timeout=PATIENCE_S)
        self.assertEqual((result.returncode, result.stderr, result.stdout), (0, b"", b""), data)

    def test_promtool_accepts_it(self):
        target = self.target("leak_all", 100, 5)
        leaktrace = self.leaktrace(target, "--prom", self.prom, "--top", 1)
        target.go().truth()
        leaktrace.wait_report()
        data = self.written()
        self.assert_accepted(data)
        text = data.decode()
        self.assertTrue(text.endswith("\n"))
        self.assertIn(f'pid="{target.pid}"', text)
        self.assertIn('stack="other"', text)
        for line in text.splitlines():
            self.assertRegex(line, r"\A(# (HELP|TYPE) leaktrace_|leaktrace_\w+(\{.*\})? \S+\Z)")
        self.assertEqual(stat.S_IMODE(self.prom.stat().st_mode), 0o644)
        leaktrace.stop()

    def test_hostile_names_do_not_spoil_it(self):
        path = self.directory / 'q"b\\s\udcff\udcfe'  # the kernel cuts comm at 15 bytes
        shutil.copy(harness.WORKLOADS / "leak_all", path)
        target = self.target("", 100, 2, path=path)
        leaktrace = self.leaktrace(target, "--prom", self.prom)
        target.go().truth()
        leaktrace.wait_report()
        self.assert_accepted(self.written())
        leaktrace.stop()

    def test_a_clean_exit_removes_it(self):
        target = self.target("victim", 1, 20000).go()
        leaktrace = self.leaktrace(target, "--prom", self.prom)
        self.written()
        leaktrace.stop()
        self.assertEqual([p.name for p in self.directory.iterdir()], [leaktrace.json_path.name])

    def test_node_exporter_serves_it(self):
        target = self.target("leak_all", 100, 3)
        leaktrace = self.leaktrace(target, "--prom", self.prom)
        target.go().truth()
        self.written()
        port = harness.free_port()
        self.own(harness.Process([
            NODE_EXPORTER, "--collector.disable-defaults", "--collector.textfile",
            f"--collector.textfile.directory={self.directory}",
            f"--web.listen-address=127.0.0.1:{port}"]))
        text = harness.wait_until(lambda: scrape(port), "node exporter")
        self.assertRegex(text, r"(?m)^node_textfile_scrape_error 0$")
        served = set(re.findall(r"(?m)^(leaktrace_\w+)", text))
        self.assertEqual(served, set(re.findall(r"(?m)^(leaktrace_\w+)", self.prom.read_text())))
        self.assertGreater(len(served), 5)
        leaktrace.stop()

    def test_a_file_of_somebody_else_is_left_alone(self):
        other = self.directory / "other"
        other.write_text("precious\n")
        self.prom.hardlink_to(other)
        target = self.target("victim", 1, 20000).go()
        result = run(harness.LEAKTRACE, "-p", str(target.pid), "--prom", self.prom, "1", "1")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(other.read_text(), "precious\n")
